"""Hard pictures: what answers for each hand, and what is refused."""

import numpy as np
import pytest

from echomimic_core.landmarks import load_networks
from echomimic_core.pose.detectors.ladder import ORIGINAL, climb

SIDE = 512


@pytest.fixture(scope="module")
def networks():
    return load_networks()


@pytest.fixture(scope="module")
def photograph(samples):
    from PIL import Image

    return np.asarray(Image.open(samples / "reference" / "0222.png").convert("RGB").resize((SIDE, SIDE)))


@pytest.fixture(scope="module")
def truth(photograph, networks):
    return climb(photograph, networks)


def test_a_clear_photograph_answers_for_itself(truth):
    found, answers = truth
    assert [answer.rung for answer in answers] == [ORIGINAL, ORIGINAL]
    assert (found.hand_scores > 0).all() and "left hand: found in the picture as it is" in str(answers[0])


def test_in_a_dark_picture_copies_answer_and_agree_with_the_light_one(photograph, networks, truth):
    dark, answers = climb((photograph * 0.06).astype(np.uint8), networks)
    for side, answer in enumerate(answers):
        assert answer.rung not in (None, ORIGINAL) and answer.score > 0.3
        size = np.linalg.norm(np.ptp(truth[0].hands[0, side], axis=0))
        assert np.linalg.norm(dark.hands[0, side] - truth[0].hands[0, side], axis=1).mean() < 0.1 * size


def test_a_picture_of_nothing_is_refused_with_what_to_do(networks):
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    found, answers = climb(noise, networks)
    assert not found.hand_scores.any()
    for answer in answers:
        assert answer.rung is None and "image_pose" in str(answer)

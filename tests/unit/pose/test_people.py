"""Several people: each gets the hands at their own wrists."""

import numpy as np
import pytest

from echomimic_core.landmarks import load_networks
from echomimic_core.pose.detectors.people import find_people


@pytest.fixture(scope="module")
def photographs(samples):
    from PIL import Image

    paths = sorted((samples / "reference").glob("*.png"))
    return [np.asarray(Image.open(path).convert("RGB").resize((640, 640))) for path in paths]


def test_three_in_a_row_have_two_hands_each_beside_their_own_wrists(photographs):
    row = np.concatenate(photographs, axis=1)
    people = find_people(row[None], load_networks())[0]
    assert len(people) == 3
    people.sort(key=lambda person: person.body.points[0, 0])
    for index, person in enumerate(people):
        frame = person.frame
        assert (frame.hand_scores > 0).all() and (frame.face_scores > 0).all()
        assert (frame.hands[..., 0] // 640 == index).all()
        # The person faces us: the left hand is on the right.
        assert frame.hands[0, :, 0].mean() > frame.hands[1, :, 0].mean()
        for side, wrist in enumerate((7, 4)):
            assert np.linalg.norm(frame.hands[side, 0] - frame.body[wrist]) < 60


def test_no_more_people_are_found_than_wanted(photographs):
    row = np.concatenate(photographs, axis=1)
    assert len(find_people(row[None], load_networks(), limit=2)[0]) == 2


def test_an_empty_picture_has_no_people():
    assert find_people(np.zeros((1, 64, 64, 3), np.uint8), load_networks()) == [[]]

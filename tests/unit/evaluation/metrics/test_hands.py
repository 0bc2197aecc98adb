"""HKC and HKV: the released poses' numbers, and what missing or trembling hands do to them."""

from dataclasses import replace

import numpy as np
import pytest

from echomimic_core.evaluation.metrics.hands import confidence, from_pixels, hkc, hkv, rates
from echomimic_core.pose import HandPose
from echomimic_core.pose.files import load_folder


def pose(frames: int = 40, seed: int = 0, **changes) -> HandPose:
    generator = np.random.default_rng(seed)
    middle = 0.5 + 0.1 * np.sin(np.arange(frames) / 4)[:, None, None, None]
    hands = middle + generator.uniform(-0.1, 0.1, (1, 2, 21, 2))
    return replace(HandPose(hands, np.full((frames, 2, 21), 0.9)), **changes)


@pytest.mark.parametrize(("name", "confidence", "variance"), [("01", 0.9591, 60.36), ("ultraman", 0.8681, 114.05)])
def test_released_poses_have_the_known_numbers(samples, name, confidence, variance):
    released = load_folder(samples / "pose" / name)
    assert round(hkc(released), 4) == confidence
    assert round(hkv(released), 2) == variance


def test_scores_above_one_count_as_one():
    assert hkc(pose(hand_scores=np.full((40, 2, 21), 1.2))) == 1


def test_a_missing_hand_counts_as_zero_confidence_and_in_the_rate():
    scores = np.full((40, 2, 21), 0.8)
    scores[:10, 1] = 0
    found = pose(hand_scores=scores)
    assert hkc(found) == pytest.approx(0.8 * 70 / 80)
    assert rates(found).left == 1 and rates(found).right == 0.75 and rates(found).mean == 0.875


def test_a_missing_hand_does_not_move():
    still = pose()
    hands, scores = still.hands.copy(), still.hand_scores.copy()
    hands[5:15, 0], scores[5:15, 0] = 0, 0
    gap = replace(still, hands=hands, hand_scores=scores)
    seen = np.r_[0:5, 15:40]
    left = still.hands[seen, 0].std(0).mean()
    right = still.hands[:, 1].std(0).mean()
    assert hkv(gap) == pytest.approx((left + right) / 2 * 768)


def test_trembling_hands_vary_more_in_order():
    still = pose(hands=np.broadcast_to(pose(1).hands, (40, 2, 21, 2)))
    noise = np.random.default_rng(1).normal(size=still.hands.shape)
    values = [hkv(replace(still, hands=still.hands + strength * noise)) for strength in (0, 0.001, 0.01, 0.1)]
    assert values[0] == pytest.approx(0, abs=1e-9) and values == sorted(values)


def test_variance_is_in_pixels_of_the_canvas_and_not_of_the_region():
    whole = pose()
    half = pose(region=(0, 768, 192, 576))
    x = whole.hands[..., 0].std(0).mean() * 768
    y = whole.hands[..., 1].std(0).mean() * 768
    assert hkv(whole) == pytest.approx((x + y) / 2)
    assert hkv(half) == pytest.approx((x / 2 + y) / 2)


def test_variance_does_not_depend_on_the_size_of_the_video():
    points = pose().hands * (1080, 1920)
    scores = pose().hand_scores
    large = from_pixels(points, scores, 1080, 1920, 24)
    small = from_pixels(points / 2, scores, 540, 960, 24)
    assert hkv(large) == pytest.approx(hkv(small))


@pytest.mark.parametrize(("width", "height"), [(1080, 1920), (1920, 1080)])
def test_variance_is_in_pixels_at_a_short_side_of_768(width, height):
    tall = pose(width=width, height=height)
    x, y = (tall.hands[..., axis].std(0).mean() * side for axis, side in enumerate((width, height)))
    assert hkv(tall) == pytest.approx((x + y) / 2 * 768 / 1080)


def test_confidence_is_told_for_each_hand_and_frame():
    scores = np.zeros((3, 2, 21))
    scores[1, 0] = 2.0
    np.testing.assert_array_equal(confidence(pose(3, hand_scores=scores)), [[0, 0], [1, 0], [0, 0]])


def test_no_hands_at_all_is_a_sentence():
    with pytest.raises(ValueError, match="no hand is seen in two frames"):
        hkv(pose(hand_scores=np.zeros((40, 2, 21))))


def test_an_empty_pose_is_a_sentence():
    with pytest.raises(ValueError, match="no frames"):
        hkc(pose().take(np.array([], int)))


def test_hands_of_every_frame_are_kept_in_order(monkeypatch):
    from echomimic_core.evaluation.clips import Clip
    from echomimic_core.evaluation.extractors import hands
    from echomimic_core.evaluation.settings import Settings

    class Bright:
        """Finds both hands at the brightness of the picture."""

        def __init__(self, networks):
            pass

        def __call__(self, picture, seconds):
            assert seconds == pytest.approx(picture[0, 0, 0] / 24)
            return np.full((2, 21, 2), picture[0, 0, 0]), np.full((2, 21), 0.5)

    monkeypatch.setattr(hands, "HandFinder", Bright)
    with hands.Hands(Clip("a", "video"), 24.0, Settings(folders=())) as extractor:
        for index in range(21):
            extractor.frame(index / 24, np.full((8, 10, 3), index, np.uint8), None)
        found = extractor.finish()
    assert found["points"][:, 0, 0, 0].tolist() == list(range(21)) and (found["scores"] == 0.5).all()
    assert found["size"].tolist() == [10, 8]


def test_hands_of_a_real_talk_are_followed_through_it(samples):
    from itertools import islice

    from echomimic_core.evaluation.hand_finder import HandFinder
    from echomimic_core.landmarks import load_networks
    from echomimic_core.media.video import read_frames

    finder, frames = HandFinder(load_networks()), []
    for seconds, picture in islice(read_frames(samples / "talk" / "gestures.mp4"), 6):
        frames.append(finder(np.ascontiguousarray(picture[380:1460:2, ::2]), seconds))
    scores = np.stack([score for _, score in frames])
    assert (scores > 0.5).all()
    # No hand changes its side: each stays nearer to where it was than to the other.
    wrists = np.stack([points[:, 0] for points, _ in frames])
    own, other = (np.linalg.norm(wrists[1:] - w, axis=-1) for w in (wrists[:-1], wrists[:-1, ::-1]))
    assert (own < other).all()

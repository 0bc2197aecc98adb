"""Merging of boxes, and the detectors end to end on the reference pictures."""

import numpy as np
import pytest
import torch

from echomimic_core import landmarks
from echomimic_core.landmarks import LEFT, RIGHT
from echomimic_core.landmarks.detections import read_detections


def said(boxes: dict[int, tuple]) -> tuple[torch.Tensor, torch.Tensor]:
    """Results of a detector of 896 boxes: by anchor a score before the sigmoid and a box in pixels of its input."""
    raw, scores = torch.zeros(1, 896, 16), torch.full((1, 896, 1), -200.0)
    for index, (logit, *values) in boxes.items():
        scores[:, index], raw[:, index, :4] = logit, torch.tensor(values, dtype=torch.float32)
    return raw, scores


def read(boxes: dict[int, tuple], confidence: float = 0.5):
    return read_detections("face_detector", 128, *said(boxes), confidence)[0]


def test_overlapping_boxes_become_their_mean_weighted_by_score():
    # Anchors 0 and 1 share a cell; the second box lies 8 pixels further right.
    found = read({0: (0.0, 0, 0, 64, 64), 1: (20.0, 8, 0, 64, 64)})
    assert len(found) == 1 and found.scores[0] == pytest.approx(1.0)
    middle = (found.boxes[0, 0] + found.boxes[0, 2]) / 2
    assert middle == pytest.approx(0.5 / 16 + (8 / 128) * (1.0 / 1.5))


def test_boxes_apart_stay_apart_surest_first():
    found = read({0: (1.0, 0, 0, 8, 8), 400: (3.0, 0, 0, 8, 8)})
    assert len(found) == 2 and found.scores[0] > found.scores[1]


def test_what_is_not_sure_enough_is_not_there():
    assert len(read({0: (-1.0, 0, 0, 8, 8)})) == 0
    assert read({0: (-1.0, 0, 0, 8, 8)}).points.shape == (0, 6, 2)


def load(path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def photographs(samples):
    return np.stack([load(path) for path in sorted((samples / "reference").glob("*.png"))])


@pytest.fixture(scope="module")
def networks():
    return landmarks.load_networks()


def test_each_photograph_shows_a_left_and_a_right_hand(photographs, networks):
    for hands in landmarks.find_hands(photographs, networks):
        assert sorted(hand.side for hand in hands) == [LEFT, RIGHT]
        assert all(hand.presence > 0.9 and 50 < hand.size < 500 for hand in hands)


def test_wrists_of_body_and_hands_meet(photographs, networks):
    hands, bodies = landmarks.find_hands(photographs, networks), landmarks.find_bodies(photographs, networks)
    for found, (body,) in zip(hands, bodies, strict=True):
        for hand in found:
            wrist = body.points[15 if hand.side == LEFT else 16]
            assert np.linalg.norm(hand.points[0] - wrist) < 0.5 * hand.size


def test_the_person_mask_covers_nose_and_shoulders_and_not_the_corners(photographs, networks):
    bodies = landmarks.find_bodies(photographs, networks, masks=True)
    for (body,) in bodies:
        mask = landmarks.person_masks([body], *photographs.shape[1:3])[0].numpy()
        assert mask.shape == photographs.shape[1:3] and mask.min() >= 0 and mask.max() <= 1
        for x, y in body.points[[0, 11, 12]].round().astype(int):
            assert mask[y, x] > 0.9
        assert mask[:40, :40].max() < 0.1 and mask[:40, -40:].max() < 0.1
        # Soft: not only zeros and ones.
        assert ((mask > 0.1) & (mask < 0.9)).any()


def test_the_face_lies_around_the_nose(photographs, networks):
    faces, bodies = landmarks.find_faces(photographs, networks), landmarks.find_bodies(photographs, networks)
    for found, (body,) in zip(faces, bodies, strict=True):
        assert len(found) == 1
        assert np.linalg.norm(found[0].points[1] - body.points[0]) < 0.2 * np.ptp(found[0].points, axis=0).max()


def test_three_people_in_a_row_are_three_bodies(photographs, networks):
    row = np.concatenate(list(photographs), axis=1)
    bodies = landmarks.find_bodies(row[None], networks, limit=4)[0]
    assert sorted(int(body.points[0, 0] // photographs.shape[2]) for body in bodies) == [0, 1, 2]


def test_an_empty_picture_has_nobody(networks):
    grey = np.full((1, 240, 320, 3), 127, np.uint8)
    assert landmarks.find_hands(grey, networks) == landmarks.find_bodies(grey, networks) == [[]]
    assert landmarks.find_faces(grey, networks) == [[]]


def test_a_tracker_finds_what_a_search_finds_and_then_follows(photographs, networks):
    tracker = landmarks.Tracker(landmarks.HANDS, networks, landmarks.Wanted(limit=2))
    picture = landmarks.as_pictures(photographs[0], networks)
    with torch.inference_mode():
        first, second = tracker(picture), tracker(torch.roll(picture, 6, dims=2))
    assert len(first) == len(second) == 2
    for before, after in zip(first, second, strict=True):
        assert np.abs((after.points - before.points).mean(axis=0) - (6, 0)).max() < 0.05 * before.size


def test_pictures_of_another_kind_are_refused_with_their_shape(networks):
    with pytest.raises(ValueError, match=r"\(2, 5, 5, 4\) torch.uint8"):
        landmarks.find_hands(np.zeros((2, 5, 5, 4), np.uint8), networks)

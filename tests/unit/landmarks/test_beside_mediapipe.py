"""The built-in networks beside the mediapipe package, image mode, on the same pictures; where the package is installed.

Pictures: the reference photographs, frames of both talks, the demo's drawn person, and the squares around the wrists
in all of them, which is where Hand Pose looks for hands.
"""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from echomimic_core import landmarks
from echomimic_core.media.video import read_frames
from echomimic_core.pose.detectors.sides import hand_areas

REPO = Path(__file__).resolve().parents[3]
CONFIDENCE = 0.4
EVERY, FRAMES = 30, 6


def load(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def wrist_squares(picture: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """The parts of a picture in which Hand Pose looks for a body's hands."""
    parts = []
    for middle, radius in hand_areas(points, *picture.shape[:2]):
        (left, top), (right, bottom) = (np.maximum(middle + sign * radius, 0).astype(int) for sign in (-1, 1))
        parts.append(np.ascontiguousarray(picture[top:bottom, left:right]))
    return parts


@pytest.fixture(scope="module")
def networks():
    return landmarks.load_networks()


@pytest.fixture(scope="module")
def pictures(samples) -> list[np.ndarray]:
    found = [load(path) for path in sorted((samples / "reference").glob("*.png"))]
    found.append(load(REPO / "demo" / "inputs" / "character.png"))
    for name in ("gestures", "seated"):
        frames = islice(read_frames(samples / "talk" / f"{name}.mp4"), 0, EVERY * FRAMES, EVERY)
        found += [picture for _, picture in frames]
    return found


@pytest.fixture(scope="module")
def package(samples):
    """(hand, pose) landmarkers of the package in image mode."""
    pytest.importorskip("mediapipe", reason="needs the package mediapipe")
    from echomimic_core.pose.detectors.package import open_landmarker

    models = samples.parent / "models"
    confidences = ("min_hand_detection_confidence", "min_hand_presence_confidence", "min_tracking_confidence")
    options = dict.fromkeys(confidences, CONFIDENCE)
    with (
        open_landmarker("hand", models / "hand_landmarker.task", num_hands=2, **options) as hand,
        open_landmarker("pose", models / "pose_landmarker.task", output_segmentation_masks=True) as pose,
    ):
        yield hand, pose


def placed(points, picture: np.ndarray) -> np.ndarray:
    return np.array([(point.x, point.y) for point in points]) * picture.shape[1::-1]


def test_hands_are_those_of_the_package(pictures, networks, package):
    from echomimic_core.pose.detectors.package import as_image

    bodies = [landmarks.find_bodies(picture[None], networks)[0] for picture in pictures]
    shown = list(pictures)
    for picture, found in zip(pictures, bodies, strict=True):
        for body in found:
            shown += wrist_squares(picture, body.points)
    errors, score_gaps, scores, agreed = [], [], ([], []), []
    for picture in shown:
        theirs, ours = (
            package[0].detect(as_image(picture)),
            landmarks.find_hands(picture[None], networks, 2, CONFIDENCE)[0],
        )
        agreed.append(len(theirs.hand_landmarks) == len(ours))
        for points, sides in zip(theirs.hand_landmarks, theirs.handedness, strict=True):
            there = placed(points, picture)
            if not ours:
                continue
            nearest = min(ours, key=lambda hand: np.linalg.norm(hand.points - there, axis=1).mean())
            errors.append(np.linalg.norm(nearest.points - there, axis=1) / nearest.size)
            score_gaps.append(abs(nearest.score - sides[0].score))
            assert nearest.side == (0 if sides[0].category_name == "Left" else 1) or nearest.score < 0.6
            scores[0].append(sides[0].score)
            scores[1].append(nearest.score)
    assert len(errors) > 40 and np.mean(agreed) >= 0.99
    errors = np.concatenate(errors)
    assert np.median(errors) < 0.005 and np.percentile(errors, 95) < 0.02
    assert np.percentile(score_gaps, 95) < 0.02
    assert abs(np.mean(scores[0]) - np.mean(scores[1])) < 0.005


def test_bodies_and_masks_are_those_of_the_package(pictures, networks, package):
    from echomimic_core.pose.detectors.package import as_image

    for picture in pictures:
        theirs, ours = (
            package[1].detect(as_image(picture)),
            landmarks.find_bodies(picture[None], networks, masks=True)[0],
        )
        assert len(theirs.pose_landmarks) == len(ours)
        if not ours:
            continue
        size = np.ptp(ours[0].points[:25], axis=0).max()
        apart = np.linalg.norm(ours[0].points - placed(theirs.pose_landmarks[0], picture), axis=1) / size
        assert np.median(apart) < 0.002 and apart.max() < 0.01
        scores = np.array([min(point.visibility, point.presence) for point in theirs.pose_landmarks[0]])
        assert np.abs(ours[0].scores - scores).max() < 0.02
        mask = landmarks.person_masks(ours, *picture.shape[:2])[0].numpy()
        assert np.abs(mask - theirs.segmentation_masks[0].numpy_view().squeeze()).mean() < 0.005

"""Hands in pictures that are hard to read: paintings, cartoons, gloves, dark rooms.

Rung by rung: the picture as it is; then copies of it with more contrast, smoothed, and enlarged, where a hand counts
only if it is found at the same place in two of them. What no rung finds is refused with what to do about it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ...config import HANDS
from ...landmarks import Networks
from ...media.scaling import resize_linear
from ..clean import Detections
from .builtin import BuiltInDetector
from .frame import Frame

SIDES = ("left", "right")
ORIGINAL = "the picture as it is"
# Two copies agree on a hand if its points lie apart by no more than this part of its size in the mean.
_AGREE = 0.1
# Two copies may be wrong together, on drawn people in one of thirty hands; three were in one of 120. So what only
# two agree on is told with half the confidence.
_FULL_CONFIDENCE = 3
# A hand that the network is so sure of is taken from the picture as it is; others need a copy that agrees.
_CERTAIN = 0.95
# Copies are looked at apart from each other: nobody remembers a hand for so many seconds.
_APART = 10.0
_REMEDY = (
    "place the pose by hand in Pose Pad and connect it to image_pose, connect the POSE_KEYPOINT of another pack's "
    "detector there through Pose From Keypoints, or use a picture in which this hand is larger, lighter or less covered"
)


@dataclass(frozen=True)
class Answer:
    """What became of one hand: the rung that found it, and how sure it is from 0 to 1; no rung if none did."""

    side: str
    rung: str | None
    score: float

    def __str__(self) -> str:
        if self.rung is None:
            return f"{self.side} hand: not found in the picture or any prepared copy of it; {_REMEDY}"
        return f"{self.side} hand: found in {self.rung}, confidence {self.score:.2f}"


def climb(picture: np.ndarray, networks: Networks) -> tuple[Detections, tuple[Answer, ...]]:
    """Find one person in a picture (H, W, 3) uint8, by the ladder; an answer for each hand, the left one first."""
    height, width = picture.shape[:2]
    detector = BuiltInDetector(networks)
    first = detector(picture[None], [0.0])[0]
    answers = [Answer(side, ORIGINAL, float(first.hand_scores[i].max())) for i, side in enumerate(SIDES)]
    missing = [side for side in range(HANDS) if detector.presences[0][side] < _CERTAIN]
    if missing:
        looks = {ORIGINAL: first} | _looks_at_copies(picture, networks)
        first = _with_a_body(first, looks)
        for side in missing:
            first, answers[side] = _agreed(first, looks, side)
    columns = [column[None].copy() for column in first]
    for points in columns[::2]:
        points /= (width, height)
    return Detections(np.zeros(1), *columns, width=width, height=height), tuple(answers)


def copies(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Prepared copies (H, W, 3) or twice as large, by the name of what was done to them."""
    sharp = torch.from_numpy(picture.copy()).float()
    low, high = np.percentile(picture, (1, 99))
    stretched = ((sharp - low) / max(high - low, 1.0)).clamp(0, 1)
    # A dark picture is lifted until its mean is that of a well-lit one.
    mean = float(stretched.mean().clamp(0.02, 0.98))
    contrast = (stretched ** min(max(np.log(0.45) / np.log(mean), 0.4), 2.5)).mul(255)
    side = max(min(picture.shape[:2]) // 150, 1) * 2 + 1
    smooth = torch.nn.functional.avg_pool2d(sharp.permute(2, 0, 1)[None], side, 1, side // 2, count_include_pad=False)
    large = resize_linear(torch.from_numpy(picture.copy()), 2 * picture.shape[0], 2 * picture.shape[1])
    return {
        "a copy with more contrast": contrast.round().byte().numpy(),
        "a smoothed copy": smooth[0].permute(1, 2, 0).round().byte().numpy(),
        "a smoothed copy with more contrast": _soft(contrast, side),
        "a copy twice as large": large.numpy(),
    }


def _soft(picture: torch.Tensor, side: int) -> np.ndarray:
    planes = picture.permute(2, 0, 1)[None]
    smooth = torch.nn.functional.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)
    return smooth[0].permute(1, 2, 0).round().byte().numpy()


def _looks_at_copies(picture: np.ndarray, networks: Networks) -> dict[str, Frame]:
    """What is found in each copy, in pixels of the picture itself."""
    looks = {}
    for index, (name, copy) in enumerate(copies(picture).items()):
        found = BuiltInDetector(networks)(copy[None], [index * _APART])[0]
        scale = picture.shape[0] / copy.shape[0]
        looks[name] = found._replace(hands=found.hands * scale, body=found.body * scale, face=found.face * scale)
    return looks


def _with_a_body(first: Frame, looks: dict[str, Frame]) -> Frame:
    """The frame with the surest body of all looks, if it has none itself."""
    if first.body_scores.any():
        return first
    best = max(looks.values(), key=lambda frame: frame.body_scores.mean())
    return first._replace(body=best.body, body_scores=best.body_scores, face=best.face, face_scores=best.face_scores)


def _agreed(frame: Frame, looks: dict[str, Frame], side: int) -> tuple[Frame, Answer]:
    """The frame with the hand of a side on which two looks agree best, and the answer."""
    there = {name: look for name, look in looks.items() if look.hand_scores[side].any()}
    best = None
    for name, look in there.items():
        agreeing = [other for other in there if other != name and _apart(look, there[other], side) <= _AGREE]
        if agreeing and (best is None or len(agreeing) > len(best[0])):
            sure = min(there[other].hand_scores[side].max() for other in (name, *agreeing))
            best = (agreeing, name, look, sure if len(agreeing) + 1 >= _FULL_CONFIDENCE else sure / 2)
    hands, scores = frame.hands.copy(), frame.hand_scores.copy()
    if best is None:
        hands[side], scores[side] = 0.0, 0.0
        return frame._replace(hands=hands, hand_scores=scores), Answer(SIDES[side], None, 0.0)
    agreeing, name, look, sure = best
    rung = " and ".join([name, *agreeing])
    hands[side], scores[side] = look.hands[side], sure
    return frame._replace(hands=hands, hand_scores=scores), Answer(SIDES[side], rung, float(sure))


def _apart(look: Frame, other: Frame, side: int) -> float:
    """Mean distance of the points of two finds of a hand, in sizes of the first."""
    size = np.linalg.norm(np.ptp(look.hands[side], axis=0))
    return float(np.linalg.norm(look.hands[side] - other.hands[side], axis=1).mean() / max(size, 1.0))

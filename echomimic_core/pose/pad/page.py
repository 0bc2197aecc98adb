"""The numbers that the page's copy of the hand is made of: python -m echomimic_core.pose.pad.page FILE writes them."""

import json
import sys

import numpy as np

from ...files import durable
from .. import draw, hand_skeleton
from ..hand_pose import HandPose
from ..landmarks import TYPICAL_FACE
from ..measure import NECK
from ..preview import spread
from . import points, value
from .presets import PRESETS, start_key

_HEAD = "// Made by python -m echomimic_core.pose.pad.page from the skeleton of the core: change it there.\n"
# The first figure is written for a square picture of so many pixels a side.
START_SIDE = 1000
# Of a clip to correct, so many frames at most are shown on the pad.
GROUND_FRAMES = 480


def numbers() -> str:
    """The whole file `web/pose_pad/numbers.js`."""
    found = {
        "ANGLES": [list(one) for one in value.ANGLES],
        "KNUCKLES": hand_skeleton.KNUCKLES,
        "PHALANGES": hand_skeleton.PHALANGES,
        "THUMB_ROOT": hand_skeleton.THUMB_ROOT,
        "THUMB_BONES": hand_skeleton.THUMB_BONES,
        "THUMB_INWARDS": hand_skeleton.THUMB_INWARDS,
        "LIMITS": {name: list(limits) for name, limits in hand_skeleton.LIMITS.items()},
        "LAST_PER_MIDDLE": hand_skeleton.LAST_PER_MIDDLE,
        "HAND_BONES": draw.HAND_BONES,
        "NECK": NECK,
        "FORWARD": points.FORWARD,
        "FACE": np.round(TYPICAL_FACE, 6),
        "PRESETS": {name: angles.astype(int) for name, angles in PRESETS.items()},
        "START_SIDE": START_SIDE,
        "START": value.written_key(start_key(START_SIDE, START_SIDE)),
        "VERSION": value.VERSION,
        "MAX_BYTES": value.MAX_BYTES,
        "MAX_KEYS": value.MAX_KEYS,
        "MAX_SECONDS": value.MAX_SECONDS,
        "MAX_FPS": value.MAX_FPS,
        "SIDE_PIXELS": (value.MIN_SIDE, value.MAX_SIDE),
        "ANGLE_COUNT": value.ANGLE_COUNT,
        "MARGIN": value.MARGIN,
        "HAND_SIZES": value.HAND_SIZES,
        "SCALES": value.SCALES,
        "EASES": value.EASES,
        "DEFAULT_EASE": value.DEFAULT_EASE,
    }
    lines = [f"export const {name} = {json.dumps(_plain(one))};" for name, one in found.items()]
    return _HEAD + "\n".join(lines) + "\n"


def ground(pose: HandPose) -> dict:
    """What the page draws of a clip to correct: points in pixels of its canvas, absent ones as null."""
    frames = spread(len(pose), GROUND_FRAMES if len(pose) > GROUND_FRAMES else 0)
    shown = pose.take(frames).whole_canvas()
    size = (pose.width, pose.height)
    tracks = {name: _rows(track.points * size, track.present()) for name, track in shown.tracks.items()}
    return {
        **{"width": pose.width, "height": pose.height, "fps": pose.fps, "frames": len(pose)},
        "times": [round(float(frame / pose.fps), 6) for frame in frames],
        "hands": tracks["hands"],
        "bodies": tracks.get("bodies"),
    }


def _rows(points: np.ndarray, present: np.ndarray) -> list:
    rounded = np.round(points, 1).reshape(len(points), -1, 2).tolist()
    return [
        [point if there else None for point, there in zip(frame, shown, strict=True)]
        for frame, shown in zip(rounded, present.reshape(len(points), -1).tolist(), strict=True)
    ]


def _plain(one: object) -> object:
    if isinstance(one, dict):
        return {name: _plain(inner) for name, inner in one.items()}
    return one.tolist() if isinstance(one, np.ndarray) else one


if __name__ == "__main__":
    durable.write_text(sys.argv[1], numbers())

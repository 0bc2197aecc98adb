"""How the value of one clip, and the curves drawn of it, come from what was taken from its frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .clips import Clip
from .metrics import expression, hands, identity, sync

if TYPE_CHECKING:
    from .evaluate import Findings


NO_FACE = "no face is found in any frame"


def _mean_of_frames(name: str) -> Callable[[Findings, Clip], float]:
    def score(work: Findings, clip: Clip) -> float:
        values = work.arrays("pair", clip, name)["values"]
        finite = values[np.isfinite(values)]
        return float(finite.mean()) if len(finite) else math.inf

    return score


def _sync(attribute: str) -> Callable[[Findings, Clip], float]:
    def score(work: Findings, clip: Clip) -> float:
        found = work.arrays("generated", clip, "syncnet")
        offset = int(found["offset"])
        # At the very end of the range it is no shift that was found, but that none fits.
        if 0 < abs(offset) < sync.MAX_SHIFT:
            late, frames = "late" if offset > 0 else "early", abs(offset)
            work.reports[clip.name].remark(
                f"the lips come {frames / sync.FPS:.2f} s too {late} ({frames} frames at {sync.FPS} fps)"
            )
        return float(found[attribute])

    return score


def _identity(extractor: str) -> Callable[[Findings, Clip], tuple[float, np.ndarray]]:
    def score(work: Findings, clip: Clip) -> tuple[float, np.ndarray]:
        portrait = work.arrays("portrait", clip, extractor)
        if not portrait["found"][:1].any():
            raise ValueError(f"no face is found in the reference picture of {clip.name}")
        found = work.arrays("generated", clip, extractor)
        if not found["found"].any():
            # Its frames count as 0, as the lost frames of any other clip do.
            work.reports[clip.name].remark(NO_FACE)
            return 0.0, np.zeros(len(found["found"]))
        return identity.csim(portrait["embeddings"][0], found["embeddings"], found["found"])

    return score


def _mouth(work: Findings, clip: Clip) -> float:
    found = work.arrays("generated", clip, "mouth")
    if "loudness" not in found:
        raise ValueError(f"{clip.name} has no sound")
    return expression.correlation(found["opening"], found["loudness"])


def _faces(work: Findings, clip: Clip) -> float:
    found = work.arrays("generated", clip, "mouth")["found"]
    if not found.any():
        work.reports[clip.name].remark(NO_FACE)
    return float(found.mean())


def _hands(work: Findings, clip: Clip) -> float:
    rates = hands.rates(work.pose(clip, work.hands_by))
    for side, rate in (("left", rates.left), ("right", rates.right)):
        if rate < 1:
            work.reports[clip.name].remark(f"the {side} hand is missing in {1 - rate:.0%} of the frames")
    return rates.mean


SCORES: dict[str, Callable[[Findings, Clip], float]] = {
    "psnr": _mean_of_frames("psnr"),
    "ssim": _mean_of_frames("ssim"),
    "lpips": _mean_of_frames("lpips"),
    "sync-c": _sync("confidence"),
    "sync-d": _sync("distance"),
    "hkc": lambda work, clip: hands.hkc(work.pose(clip, "dwpose")),
    "hkc-mediapipe": lambda work, clip: hands.hkc(work.pose(clip, "hands")),
    "hkv": lambda work, clip: hands.hkv(work.pose(clip, "dwpose")),
    "hkv-mediapipe": lambda work, clip: hands.hkv(work.pose(clip, "hands")),
    "csim": lambda work, clip: _identity("arcface")(work, clip)[0],
    "csim-dlib": lambda work, clip: _identity("dlib")(work, clip)[0],
    "mouth": _mouth,
    "faces": _faces,
    "hands": _hands,
}


def _mouth_curves(work: Findings, clip: Clip) -> dict[str, np.ndarray]:
    found = work.arrays("generated", clip, "mouth")
    return {"mouth": found["opening"]} | ({"loudness": found["loudness"]} if "loudness" in found else {})


def _hand_curves(extractor: str = "") -> Callable[[Findings, Clip], dict[str, np.ndarray]]:
    def curves(work: Findings, clip: Clip) -> dict[str, np.ndarray]:
        left, right = hands.confidence(work.pose(clip, extractor or work.hands_by)).T
        return {"left hand": left, "right hand": right}

    return curves


CURVES: dict[str, Callable[[Findings, Clip], dict[str, np.ndarray]]] = {
    "mouth": _mouth_curves,
    "faces": _mouth_curves,
    "hands": _hand_curves(),
    "hkc-mediapipe": _hand_curves("hands"),
    "hkc": _hand_curves("dwpose"),
    "psnr": lambda work, clip: {"psnr": work.arrays("pair", clip, "psnr")["values"]},
    "ssim": lambda work, clip: {"ssim": work.arrays("pair", clip, "ssim")["values"]},
    "csim": lambda work, clip: {"identity": _identity("arcface")(work, clip)[1]},
    "csim-dlib": lambda work, clip: {"identity (dlib)": _identity("dlib")(work, clip)[1]},
}

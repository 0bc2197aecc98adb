"""Hands as gestures: do strokes fall on the voice's accents, how much do they vary, how much do they tremble?"""

import math

from ...gestures.prosody import listen
from ...measures import beats
from ...pose import HandPose
from ..clips import CLIP, Clip
from .metric import Metric, Store

STRETCH = 24
SOURCE = "This pack, after the alignment scores of co-speech gesture (BEAT, arXiv 2203.05297), which it does not equal"


def _shown(store: Store, clip: Clip) -> HandPose:
    pose = store.pose(clip, "hands")
    if not pose.shows_hands():
        raise ValueError(f"{clip.name} shows no hand, so its gestures cannot be measured")
    return pose


def _beats(store: Store, clip: Clip) -> float:
    pose = _shown(store, clip)
    try:
        waveform = clip.mono()
    except ValueError as error:
        raise ValueError(str(error).replace(CLIP, clip.name)) from error
    try:
        accents = beats.accents_of(waveform, pose.fps)
    except ImportError as error:
        raise ValueError("beats need librosa: pip install -r requirements-evaluation.txt") from error
    import torch

    heard = listen(torch.from_numpy(waveform), len(pose), pose.fps)
    loudness = beats.loudness_of(waveform, len(pose), pose.fps)
    found = beats.measure(pose, accents, loudness, heard.speech.numpy())
    by_chance = f"{found.chance:.2f} ± {found.spread:.2f}"
    lead = f"hands lead the loudness by {found.lead} frames (correlation {found.correlation:.2f})"
    rest = f"still {found.still:.0%}; BEAT's alignment {found.beat:.2f}"
    store.remark(clip, f"strokes on accents: F {found.f:.2f}, by chance {by_chance}; {lead}; {rest}")
    return found.above_chance


def _diversity(store: Store, clip: Clip) -> float:
    pose = _shown(store, clip)
    if len(pose) < 2 * STRETCH:
        raise ValueError(f"{clip.name} has {len(pose)} frames, but gesture diversity needs {2 * STRETCH}")
    return beats.diversity(pose, STRETCH)


def _jitter(store: Store, clip: Clip) -> float:
    value = beats.jitter(_shown(store, clip))
    if math.isnan(value):
        raise ValueError(f"{clip.name} shows no hand in three frames in a row, so its jitter cannot be measured")
    return value


METRICS = (
    Metric(
        "beats",
        "Beats",
        "hands",
        "clip",
        "higher",
        "F-measure of hand strokes (peaks of speed) and strong onsets of the sound (librosa) within 3 frames, in "
        "standard deviations above 200 shifts of the same motion in time.",
        SOURCE,
        "real speakers have 0.3 to 1.7",
        score=_beats,
    ),
    Metric(
        "gesture-diversity",
        "Gesture diversity",
        "hands",
        "clip",
        "",
        "Mean distance of the hands' keypoints between stretches of 24 frames, in picture heights; 0 for a loop.",
        SOURCE,
        "that of the driving pose",
        score=_diversity,
        of_poses=True,
    ),
    Metric(
        "jitter",
        "Hand jitter",
        "hands",
        "clip",
        "",
        "99th percentile of the second difference over time of the hands' keypoints, in picture heights per frame².",
        SOURCE,
        "that of the driving pose: still hands have none; real talks have 0.05 to 0.12 as MediaPipe finds them",
        score=_jitter,
        of_poses=True,
    ),
)

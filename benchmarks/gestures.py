"""`python -m benchmarks.gestures VOICE [VOICE ...]`: do the hands of Voice Gestures belong to the voice?

Accents are librosa's, which the planner does not use, and loudness is the plain root mean square. Beside the planned
motion stand the same motion shifted in time, a looped pose, and the same strokes in random order at random times.
Everything follows from the seeds, so equal files print equal figures.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from echomimic_core.config import FPS
from echomimic_core.files.durable import write_json
from echomimic_core.gestures.chains import chains_of, hands_of
from echomimic_core.gestures.library import GestureLibrary, built_in
from echomimic_core.gestures.motion import move
from echomimic_core.gestures.plan import Plan, PlanSettings, plan
from echomimic_core.gestures.prosody import Prosody, listen
from echomimic_core.measures import beats
from echomimic_core.media.sound import read_mono
from echomimic_core.pose import HandPose, gestures
from echomimic_core.pose.motion import speed

LOOP = 96  # Frames of the looped pose.
COLUMNS = (("F", 5), ("chance", 12), ("sd", 5), ("corr", 5), ("lead", 4), ("still", 6), ("pause", 6), ("accents", 7))
HEAD = " ".join([" " * 24, *(f"{name:>{width}}" for name, width in (*COLUMNS, ("BEAT", 5)))])


@dataclass(frozen=True)
class Voice:
    """A voice as the judge hears it, and as the planner does."""

    name: str
    accents: np.ndarray
    loudness: np.ndarray
    heard: Prosody


@dataclass(frozen=True)
class Score:
    """Of one motion: counts of `beats.hits`, correlations by lead, stillness, (paused, speaking) speeds, BEAT's."""

    own: np.ndarray
    shifted: np.ndarray
    correlations: np.ndarray
    still: float
    pause: tuple[float, float]
    beat: float


def listen_to(path: Path, fps: float) -> Voice:
    waveform = read_mono(path)
    heard = listen(torch.from_numpy(waveform), fps=fps)
    accents, loudness = beats.accents_of(waveform, fps), beats.loudness_of(waveform, len(heard), fps)
    return Voice(path.stem, accents, loudness, heard)


def score(pose: HandPose, voice: Voice) -> Score:
    pace = speed(pose)
    own, shifted = beats.hits(pace, voice.accents)
    leads = beats.correlations(pace, np.log(np.maximum(voice.loudness, 1e-3)))
    still = float((pace < beats.STILL * np.quantile(pace, 0.9)).mean())
    pause = beats.pause_and_speech(pace, voice.heard.speech.numpy(), pose.fps)
    return Score(own, shifted, np.array(leads), still, pause, beats.beat_alignment(pace, voice.accents, pose.fps))


def row(name: str, scores: Sequence[Sequence[Score]]) -> dict:
    """The figures of some clips, scores of each in the order of the seeds.

    For each seed the counts of all clips add up, and so do those of each shift; what is given is the mean of the seeds.
    """
    by_seed = list(zip(*scores, strict=True))
    f = np.array([beats.f_of(sum(score.own for score in seed)) for seed in by_seed])
    chance = np.stack([beats.f_of(sum(score.shifted for score in seed)) for seed in by_seed])
    every = [score for clip in scores for score in clip]
    leads = np.mean([score.correlations for score in every], axis=0)
    pauses = np.array([score.pause for score in every if np.isfinite(score.pause[0])])
    own = sum(score.own for score in every)
    return {
        "name": name,
        "f": float(f.mean()),
        "chance": float(chance.mean()),
        "spread": float(chance.std(1).mean()),
        "above_chance": float(((f - chance.mean(1)) / np.maximum(chance.std(1), 1e-6)).mean()),
        "correlation": float(leads.max()),
        "lead": int(leads.argmax()),
        "still": float(np.mean([score.still for score in every])),
        "pause": float(pauses[:, 0].mean() / pauses[:, 1].mean()) if len(pauses) else None,
        "accents_with_a_stroke": float(own[2] / max(own[3], 1)),
        "beat": float(np.mean([score.beat for score in every])),
    }


def text_of(row: dict) -> str:
    pause = "     -" if row["pause"] is None else f"{row['pause']:6.2f}"
    chance = f"{row['chance']:5.2f} ± {row['spread']:4.2f}"
    shares = f"{row['still']:6.0%} {pause} {row['accents_with_a_stroke']:7.0%} {row['beat']:5.2f}"
    fit = f"{row['f']:5.2f} {chance} {row['above_chance']:5.1f} {row['correlation']:5.2f} {row['lead']:4d}"
    return f"{row['name']:<24} {fit} {shares}"


def random_cuts(planned: Plan, seed: int) -> Plan:
    """The strokes of a plan in random order, their distances in random order."""
    rng = np.random.default_rng([seed, 11])
    times = np.array([event.at for event in planned.events])
    gaps = rng.permutation(np.diff(np.concatenate([[0.0], times, [planned.frames]])))
    order, at = rng.permutation(len(times)), np.cumsum(gaps[:-1])
    events = [replace(planned.events[i], at=float(frame)) for i, frame in zip(order, at, strict=True)]
    return replace(planned, events=events, rests=[], loudness=planned.loudness[::-1])


def looped(frames: int, fps: float, seed: int) -> HandPose:
    loop = gestures.clip("explaining", LOOP, fps, seed=seed)
    begin = np.random.default_rng([seed, 12]).integers(LOOP)
    return loop.take((begin + np.arange(frames)) % LOOP)


def steadiness(poses: Sequence[HandPose], library: GestureLibrary) -> dict:
    """How jerky the motion and how long its bones are, beside those of the library."""
    known = np.concatenate([np.abs(np.diff(hands_of(s.chains), 2, axis=0)).ravel() for s in library.strokes])
    moved = np.concatenate([np.abs(np.diff(pose.hands, 2, axis=0)).ravel() for pose in poses])
    bones = np.concatenate([s.chains.lengths for s in library.strokes] + [r.lengths for r in library.rests])
    least, most = bones.min((0, 1)) - 1e-6, bones.max((0, 1)) + 1e-6
    lengths = np.concatenate([chains_of(pose).lengths for pose in poses])
    return {
        "name": "steadiness",
        "second_difference": float(np.quantile(moved, 0.99)),
        "largest_second_difference": float(moved.max()),
        "above_the_library": float((moved > library.haste).mean()),
        "library_second_difference": library.haste,
        "largest_of_the_library": float(known.max()),
        "bones_out_of_range": int(((lengths < least) | (lengths > most)).sum()),
    }


def run_all(voices: Sequence[Voice], library: GestureLibrary, seeds: range, settings: PlanSettings) -> list[dict]:
    plans = {
        (voice.name, seed): plan(voice.heard, library, replace(settings, seed=seed))
        for voice in voices
        for seed in seeds
    }
    poses = {key: move(planned, library, key[1]) for key, planned in plans.items()}

    def rows(made: Callable[[Voice, int], HandPose], name: str, each: bool = False) -> list[dict]:
        by_voice = [[score(made(voice, seed), voice) for seed in seeds] for voice in voices]
        single = [row(voice.name, [scores]) for voice, scores in zip(voices, by_voice, strict=True)] if each else []
        return [*single, row(name, by_voice)]

    return [
        *rows(lambda voice, seed: poses[voice.name, seed], "all voices", each=True),
        *rows(lambda voice, seed: looped(len(voice.heard), library.fps, seed), "looped pose"),
        *rows(lambda voice, seed: move(random_cuts(plans[voice.name, seed], seed), library, seed), "random cuts"),
        steadiness(list(poses.values()), library),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gestures", description=__doc__)
    parser.add_argument("voices", type=Path, nargs="+", help="sound or video files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--energy", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="also write everything measured to this file")
    options = parser.parse_args(arguments)
    voices = [listen_to(path, FPS) for path in options.voices]
    rows = run_all(voices, built_in(FPS), range(options.seeds), PlanSettings(options.energy))
    print(f"{sum(len(voice.heard) for voice in voices) / FPS:.0f} s of {len(voices)} voices, {options.seeds} seeds")
    print(HEAD)
    for found in rows[:-1]:
        print(text_of(found))
    steady = rows[-1]
    print(
        f"second difference, in heights per frame²: 99th percentile {steady['second_difference']:.4f}, largest "
        f"{steady['largest_second_difference']:.4f}; library {steady['library_second_difference']:.4f} and "
        f"{steady['largest_of_the_library']:.4f}; above the library's 99th percentile "
        f"{steady['above_the_library']:.2%}\nbones out of the library's range: {steady['bones_out_of_range']}"
    )
    if options.json:
        write_json(options.json, {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())

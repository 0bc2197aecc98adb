"""Whether each of several people in a picture says what its own voice says: python -m benchmarks.speakers MODEL.

Drawn characters stand side by side and get voices that nothing was trained on, in turn and at once. Printed is the
correlation of each mouth's opening, read off the frames, with what its own voice says and with what the others' say,
and beside it one person alone in a picture of the model's size. It needs espeakng-loader.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drawn_world.make import HELD_OUT, random_speech
from drawn_world.measure import correlation
from drawn_world.mouth import mouth_track
from drawn_world.simple import SimpleClip, make_clip, mouth_opening
from drawn_world.speech import Speaker, Speech
from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.media.video import VideoWriter
from echomimic_core.render.clip import ClipSettings, clip
from echomimic_core.render.models import Models, load_models
from echomimic_core.render.scene import make_scene
from echomimic_core.scene.footage import still_picture

SIDE = 256
SECONDS = 3.0


@dataclass(frozen=True)
class Part:
    """One person's part: the character, and what it says (samples,) and opens its mouth (F,)."""

    who: SimpleClip
    voice: np.ndarray
    opening: np.ndarray


def parts_of(count: int, in_turn: bool, seed: int, speaker: Speaker) -> list[Part]:
    """People who speak for `SECONDS` each, one after the other or all at once."""
    parts, turns = [], count if in_turn else 1
    for number in range(count):
        speech, _ = random_speech(speaker, HELD_OUT + 1000 * seed + number)
        part = number if in_turn else 0
        frames, samples = round(SECONDS * FPS), round(SECONDS * AUDIO_SAMPLE_RATE)
        voice, opening = np.zeros(turns * samples, np.float32), np.zeros(turns * frames)
        voice[part * samples : (part + 1) * samples] = speech.sound[:samples]
        opening[part * frames : (part + 1) * frames] = mouth_track(speech.phonemes, frames, FPS)[:, 0]
        parts.append(Part(_character(HELD_OUT + 1000 * seed + number, speech), voice, opening))
    return parts


def _character(seed: int, speech: Speech) -> SimpleClip:
    return make_clip(seed, speech, 1, gesture="idle")


def openings(frames: np.ndarray, people: list[Part]) -> list[np.ndarray]:
    """(F,) of each person, of frames (F, SIDE, people * SIDE, 3)."""
    read = []
    for number, part in enumerate(people):
        own = frames[:, :, number * SIDE : (number + 1) * SIDE]
        read.append(mouth_opening(own, part.who.pose.take(np.zeros(len(frames), int))))
    return read


def measured(models: Models, people: list[Part], steps: int, video: Path | None = None) -> tuple[float, float]:
    """Mean correlation with the own voice, and the largest with another's."""
    picture = np.concatenate([next(part.who.frames(SIDE)) for part in people], axis=1)
    scene = make_scene(models, still_picture(picture), [part.voice for part in people], ClipSettings(steps=steps))
    frames = np.stack(list(scene.frames()))
    if video:
        sound = sum(part.voice for part in people)
        with VideoWriter(video, FPS, frames.shape[2], frames.shape[1], (sound[None], AUDIO_SAMPLE_RATE)) as out:
            out.write(frames)
    return _compared(openings(frames, people), people)


def _compared(read: list[np.ndarray], people: list[Part]) -> tuple[float, float]:
    table = np.array([[correlation(opening, part.opening) for part in people] for opening in read])
    others = table[~np.eye(len(people), dtype=bool)]
    return float(np.diag(table).mean()), float(others.max()) if others.size else float("nan")


def alone(models: Models, part: Part, steps: int) -> float:
    """The correlation of one person in a picture of the model's own size and framing."""
    picture = next(part.who.frames(SIDE))
    settings = ClipSettings(steps=steps, align=False)
    frames = np.stack(list(clip(models, picture, part.voice, part.who.pose, settings)))
    pose = part.who.pose.take(np.zeros(len(frames), int))
    return correlation(mouth_opening(frames, pose), part.opening)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="default: as many as the model was trained for")
    parser.add_argument("--videos", type=Path, help="folder for the scenes")
    given = parser.parse_args()
    models, speaker = load_models(given.model), Speaker()
    if given.videos:
        given.videos.mkdir(parents=True, exist_ok=True)
    for count, in_turn in ((1, False), (2, True), (2, False), (3, True), (3, False)):
        own, other, single = [], [], []
        for seed in range(given.seeds):
            people = parts_of(count, in_turn, seed, speaker)
            video = given.videos and given.videos / f"{count}_{'turns' if in_turn else 'once'}_{seed}.mp4"
            found = measured(models, people, given.steps, video)
            own.append(found[0])
            other.append(found[1])
            single += [alone(models, people[0], given.steps)] if count == 1 else []
        how = "alone" if count == 1 else f"{count} people, {'in turn' if in_turn else 'at once'}"
        beside = f", framed as trained {np.mean(single):.2f}" if single else f", largest of another's {max(other):.2f}"
        print(f"{how}: own voice {np.mean(own):.2f} ({', '.join(f'{value:.2f}' for value in own)}){beside}", flush=True)


if __name__ == "__main__":
    main()

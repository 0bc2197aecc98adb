"""The drawn world as training clips: python -m drawn_world.make OUT --speeches 60 --whisper FILE.

A stopped run goes on with the next speech when it is started again.
"""

import argparse
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from echomimic_core.audio import encode
from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.files.checkpoints import TensorFile
from echomimic_core.models.audio_encoder import build_audio_encoder
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.training.data.shards import (
    HEADSHOT,
    MANIFEST,
    SEMI_BODY,
    ClipData,
    ClipInfo,
    encode_jpeg,
    read_manifest,
    write_manifest,
    write_shard,
)

from . import simple
from .shaded import FROM_VOICE, HELD_OUT_GESTURES, LOOKS, SHADED, WorldClip, make_clip
from .speech import Speaker, Speech, random_sentence, random_voice

SENTENCES, CLIPS_PER_SPEECH, CLIP_FRAMES = 7, 8, 72
HEADSHOT_SHARE = 0.2
LONGEST_PAUSE = 2.0  # Seconds between sentences, where hands follow the voice.
# A headshot is this many times larger than the head of a semi-body clip.
HEADSHOT_ZOOM = 2.0
# Seeds from here on are never trained on: their voices, and a third of their gestures, are others.
HELD_OUT = 100_000
HELD_OUT_VOICES = (("es", "en-gb-scotland", "cmn", "de"), ("f4", "f5", "m4", "m5"))


def random_speech(speaker: Speaker, seed: int, pauses: bool = False) -> tuple[Speech, str]:
    """About 20 seconds of one voice, and a name of the voice; with `pauses`, of up to 2 s more between sentences."""
    rng = np.random.default_rng([seed, 0])
    voice = random_voice(rng, *HELD_OUT_VOICES) if seed >= HELD_OUT else random_voice(rng)
    sentences = [random_sentence(rng, voice.language) for _ in range(SENTENCES)]
    name = f"{voice.language}+{voice.variant} {voice.rate}/{voice.pitch}"
    if not pauses:
        return speaker.say(" ".join(sentences), voice), name
    sounds, phonemes, begin = [], [], 0.0
    for sentence in sentences:
        said = speaker.say(sentence, voice)
        silence = np.zeros(round(rng.uniform(0, LONGEST_PAUSE) * AUDIO_SAMPLE_RATE), np.float32)
        sounds += [said.sound, silence]
        phonemes += [replace(p, begin=p.begin + begin, end=p.end + begin) for p in said.phonemes]
        begin += (len(said.sound) + len(silence)) / AUDIO_SAMPLE_RATE
    return Speech(np.concatenate(sounds), tuple(phonemes)), name


def headshot(clip: WorldClip, size: int) -> tuple[list[np.ndarray], HandPose]:
    """Frames (size, size, 3) of the head alone, and their keypoints."""
    low, high = clip.pose.faces.min((0, 1)), clip.pose.faces.max((0, 1))
    side = 1 / HEADSHOT_ZOOM
    corner = np.clip((low + high) / 2 - side * np.array([0.5, 0.55]), 0, 1 - side)
    whole = round(size * HEADSHOT_ZOOM)
    left, top = (corner * whole).round().astype(int)
    frames = [frame[top : top + size, left : left + size] for frame in clip.frames(whole)]
    pose = clip.pose.map_points(lambda points: (points * whole - (left, top)) / size)
    return frames, replace(pose, hand_scores=np.zeros_like(pose.hand_scores))


def shard_of(seed: int) -> str:
    return f"speech-{seed:05d}.safetensors"


@dataclass(frozen=True)
class Shooting:
    """How a speech is filmed: look, pixels, clips and their frames, and whether all hands follow the voice."""

    size: int
    look: str = SHADED
    clips: int = CLIPS_PER_SPEECH
    frames: int = CLIP_FRAMES
    from_voice: bool = False


def draw(look: str, *clip) -> WorldClip | simple.SimpleClip:
    """A clip in one of the looks; `clip` as `make_clip` has it."""
    return simple.make_clip(*clip) if look == simple.LOOK else make_clip(*clip, look=look)


def film_speech(seed: int, out: Path, shooting: Shooting, whisper: Path) -> list[ClipInfo]:
    """Film a speech in several clips, each with another character, into one shard."""
    size, length = shooting.size, shooting.frames
    speech, name = random_speech(Speaker(), seed, pauses=shooting.from_voice)
    states = encode(build_audio_encoder(TensorFile(whisper).state_dict()), speech.sound).numpy()
    rng = np.random.default_rng([seed, 2])
    latest = max(0.0, len(speech.sound) / AUDIO_SAMPLE_RATE - length / FPS)
    clips = []
    for index, begin in enumerate(np.linspace(0, latest, shooting.clips)):
        begin = round(begin * 50) / 50  # Whisper's states are 20 ms apart
        held_out = seed >= HELD_OUT
        gesture = HELD_OUT_GESTURES[0] if held_out and index % 3 == 0 else None
        gesture = FROM_VOICE if shooting.from_voice else gesture
        clip = draw(shooting.look, seed * CLIPS_PER_SPEECH + index, speech, length, begin, gesture)
        kind = HEADSHOT if rng.random() < HEADSHOT_SHARE and not held_out and not shooting.from_voice else SEMI_BODY
        frames, pose = headshot(clip, size) if kind == HEADSHOT else (clip.frames(size), clip.pose)
        info = ClipInfo(shard_of(seed), f"{index}", kind, length, size, name, begin)
        first = round(begin * 50)
        audio = states[first : first + round(length / FPS * 50)]
        pose = replace(pose, width=size, height=size)
        clips.append(ClipData(info, [encode_jpeg(frame) for frame in frames], pose, audio, clip.sound))
    write_shard(out / clips[0].info.shard, clips)
    return [clip.info for clip in clips]


def make_world(out: Path, seeds: range, shooting: Shooting, whisper: Path, workers: int = 2) -> int:
    """Film a speech per seed, unless that has been done, into a folder that training reads; the number of clips."""
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    clips = [clip.info for clip in read_manifest(out)] if (out / MANIFEST).exists() else []
    done = {info.shard for info in clips}
    seeds = [seed for seed in seeds if shard_of(seed) not in done]
    with get_context("spawn").Pool(workers) as pool:
        films = pool.imap(partial(film_speech, out=out, shooting=shooting, whisper=whisper), seeds)
        for film in tqdm(films, total=len(seeds), unit="speech"):
            clips += film
            write_manifest(out, clips)
    return len(clips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--whisper", type=Path, required=True, help="Whisper tiny's encoder")
    parser.add_argument("--first", type=int, default=0, help="seed of the first speech")
    parser.add_argument("--speeches", type=int, default=60)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--look", choices=(*LOOKS, simple.LOOK), default=SHADED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=int, default=CLIPS_PER_SPEECH, help="per speech (default %(default)s)")
    parser.add_argument("--frames", type=int, default=CLIP_FRAMES, help="per clip (default %(default)s)")
    parser.add_argument("--from-voice", action="store_true", help="hands follow the voice; no headshots")
    given = parser.parse_args()
    shooting = Shooting(given.size, given.look, given.clips, given.frames, given.from_voice)
    seeds = range(given.first, given.first + given.speeches)
    count = make_world(given.out, seeds, shooting, given.whisper, given.workers)
    print(f"{count} clips in {given.out}")


if __name__ == "__main__":
    main()

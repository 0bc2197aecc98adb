"""How well a model speaks, on characters, voices and gestures it never saw.

python -m drawn_world.measure MODEL --vae VAE --world HELD_OUT_CLIPS
Lip correlation: of the mouth's opening, read off the pictures, with the true one. Hands: the share that the landmark
networks find within a quarter of its length of the true one, and the mean distance of the points in % of the width, a
missed hand counting as 10 %. PSNR: outside of head, hair, shoulders, arms and hands, against the true frames; there,
too, how sharp the background is, as a part of the truth. Flicker: temporal standard deviation where the true frames are
still.
Beside the model: the true frames through its VAE (the ceiling) and the first frame all the time (the floor).
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from echomimic_core.apdh.schedule import APDHState
from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.evaluation.metrics.quality import ssim
from echomimic_core.files.checkpoints import open_one_file
from echomimic_core.files.durable import write_json
from echomimic_core.media.opencv import cv2
from echomimic_core.media.video import VideoWriter, to_uint8
from echomimic_core.models.build import NETWORKS, build, config_of
from echomimic_core.networks.frozen_vae import FRAMES_AT_ONCE, load_vae
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.sampling.speed import EXACT, PRESETS, SpeedOptions
from echomimic_core.training.data.shards import Clip, read_manifest
from echomimic_core.training.model.networks import TrainingModel
from echomimic_core.training.run.validation import sample_clip
from echomimic_core.training.settings import Settings, ValidationSettings

from . import simple
from .found import find_true_hands
from .reader import mouth_opening

# How the finished model is used: hands drawn, audio everywhere.
ROWS = ("model", "ceiling", "floor")
STATE = APDHState("use", ("hands",), ("lips", "face", "body"), 0.0, "body")
FRAMES = 48
HAND_EVERY = 6  # Frames of which one is searched for hands
# An arm covers so much on either side of its bones, in frame widths.
ARM_REACH = 0.07
# A head with its hair is this much larger than the points of its face.
HEAD_REACH = 2.0


@dataclass
class Made:
    """A held-out clip: true and made frames (F, s, s, 3) uint8, and the true pose."""

    pose: HandPose
    true: np.ndarray
    made: np.ndarray


def true_opening(pose: HandPose) -> np.ndarray:
    """(F,): height of the inner lips in face widths."""
    width = np.linalg.norm(pose.faces[:, 16] - pose.faces[:, 0], axis=-1)
    return (pose.faces[:, 66, 1] - pose.faces[:, 62, 1]) / width


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; 0 where one does not move."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def still_mask(pose: HandPose, size: int) -> np.ndarray:
    """(F, size, size) bool: outside of head with hair, shoulders, arms and hands, whose sway cannot be predicted."""
    masks = np.ones((len(pose), size, size), np.uint8)

    def places(points: np.ndarray) -> np.ndarray:
        return np.round(points * size).astype(np.int32)

    width = max(1, round(2 * ARM_REACH * size))
    for mask, face, hands, body in zip(masks, pose.faces, pose.hands, pose.bodies, strict=True):
        shoulders = body[[5, 2]]
        for line in (body[[5, 6, 7]], body[[2, 3, 4]], shoulders):
            cv2.polylines(mask, [places(line)], False, 0, width)
        for hand in hands:
            hull = cv2.convexHull(places(hand))
            cv2.fillPoly(mask, [hull], 0)
            cv2.polylines(mask, [hull], True, 0, width)
        middle = face.mean(0)
        head = middle + HEAD_REACH * (face - middle)
        # Long hair falls onto the shoulders
        cv2.fillPoly(mask, [cv2.convexHull(places(np.concatenate([head, shoulders])))], 0)
    return masks.astype(bool)


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """In dB, of frames (F, s, s, 3) uint8 where the mask (F, s, s) is true."""
    error = np.square(a.astype(float) - b).mean(-1)[mask].mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def flicker(clip: Made) -> float:
    """In 255ths: temporal standard deviation where the true frames never change."""
    still = (clip.true == clip.true[:1]).all((0, -1))
    return float(clip.made[:, still].astype(float).std(0).mean()) if still.any() else 0.0


def sharpness(clip: Made, mask: np.ndarray) -> float:
    """How steep the made background is on average, as a part of the true one's; of the mean picture, so that flicker is
    not taken for sharpness."""
    always = mask.all(0)[:-1, :-1]

    def slopes(frames: np.ndarray) -> float:
        mean = frames.astype(float).mean(0)
        return float((np.abs(np.diff(mean, axis=0)[:, :-1]) + np.abs(np.diff(mean, axis=1)[:-1]))[always].mean())

    return slopes(clip.made) / max(slopes(clip.true), 1e-9) if always.any() else float("nan")


def hand_scores(clips: list[Made]) -> dict[str, float]:
    """Share of the hands that the landmark networks find in true and in made frames, and the error, in % of the width,
    a missed hand counting as `found.MISSED`."""
    results = {}
    for name in ("true", "made"):
        frames = np.concatenate([getattr(clip, name)[::HAND_EVERY] for clip in clips])
        seen = find_true_hands(frames, np.concatenate([clip.pose.hands[::HAND_EVERY] for clip in clips]))
        results[f"hand_error_{name}"] = round(100 * seen.error, 2)
        results[f"hands_found_{name}"] = round(100 * seen.share, 1)
    return results


class Maker:
    """Makes held-out clips with a model and its VAE."""

    def __init__(
        self,
        model: Path,
        vae: Path,
        size: int | None,
        steps: int,
        guidance: float,
        speed: SpeedOptions = EXACT,
    ):
        self.speed = speed
        files = open_one_file(model)
        size = size or files.size
        networks = {name: build(files, name, config_of(files), torch.float32) for name in NETWORKS}
        self.model = TrainingModel(networks).eval().requires_grad_(False)
        self.vae = load_vae(vae)
        settings = Settings(validation=ValidationSettings(steps=steps, guidance=guidance))
        self.settings = replace(settings, data=replace(settings.data, size=size))

    def __call__(self, clip: Clip, voice: Clip | None = None, frames: int = FRAMES) -> Made:
        """The clip as the model makes it of its first frame, with its own voice or another's."""
        true = clip.frames(range(frames))
        heard = clip if voice is None else _Revoiced(clip, voice)
        made = sample_clip(self.model, self.vae, heard, true[0], frames, STATE, self.settings, self.speed)
        return Made(clip.pose().take(np.arange(frames)), true, made)


class Ceiling:
    """The true clips through a VAE: as good as a model with it can be."""

    def __init__(self, vae: Path):
        self.vae = load_vae(vae)

    @torch.no_grad()
    def __call__(self, clip: Clip, voice: Clip | None = None, frames: int = FRAMES) -> Made:
        true = clip.frames(range(frames))
        pictures = torch.from_numpy(true).permute(0, 3, 1, 2)
        made = [self.vae.decode(self.vae.encode(part / 255)).clamp(0, 1) for part in pictures.split(FRAMES_AT_ONCE)]
        return Made(clip.pose().take(np.arange(frames)), true, to_uint8(torch.cat(made).permute(0, 2, 3, 1)))


def floor(clip: Clip, voice: Clip | None = None, frames: int = FRAMES) -> Made:
    """The clip's first frame all the time: what a model must be better than."""
    true = clip.frames(range(frames))
    return Made(clip.pose().take(np.arange(frames)), true, true[:1].repeat(frames, axis=0))


class _Revoiced:
    """A clip with the voice of another."""

    def __init__(self, clip: Clip, voice: Clip):
        self.pose, self.audio = clip.pose, voice.audio


def measure(
    maker, clips: list[Clip], videos: Path | None = None, read=mouth_opening, revoice: bool = True
) -> dict[str, float]:
    """The numbers of this module's docstring, means over the clips.

    maker : (clip, other clip whose voice is taken, or None) -> `Made`. read : tells a mouth's opening in frames.
    revoice : whether another's voice is tried, which takes as long again.
    """
    own = [maker(clip) for clip in clips]
    pairs = zip(clips, clips[1:] + clips[:1], strict=True) if revoice else ()
    others = [maker(clip, voice) for clip, voice in pairs]

    def lips(made: list[Made], frames: str = "made") -> list[float]:
        return [correlation(read(getattr(m, frames), m.pose), true_opening(m.pose)) for m in made]

    def mean(values: Iterable[float], digits: int = 3) -> float:
        return round(float(np.mean(list(values))), digits)

    still = [still_mask(m.pose, m.true.shape[1]) for m in own]
    table = {
        "clips": len(clips),
        "lip_correlation": mean(lips(own)),
        "lip_correlation_standard_error": round(float(np.std(lips(own)) / max(1, len(own) - 1) ** 0.5), 3),
        **({"lip_correlation_other_voice": mean(lips(others))} if others else {}),
        "lip_correlation_of_the_reader": mean(lips(own, "true")),
        "psnr_still": mean((psnr(m.made, m.true, k) for m, k in zip(own, still, strict=True)), 2),
        "ssim": mean((ssim(a, b) for m in own for a, b in zip(m.made[::4], m.true[::4], strict=True)), 4),
        "flicker": mean(map(flicker, own), 2),
        "background_sharpness": mean((sharpness(m, k) for m, k in zip(own, still, strict=True)), 2),
        **hand_scores(own),
    }
    if videos is not None:
        write_videos(clips, own, videos)
    return table


def write_videos(clips: list[Clip], made: list[Made], folder: Path) -> None:
    """Write each clip with its audio, generated next to true."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, (clip, m) in enumerate(zip(clips, made, strict=True)):
        both = np.concatenate([m.made, m.true], axis=2)
        sound = clip.sound()[: round(len(both) / FPS * AUDIO_SAMPLE_RATE)]
        path = folder / f"{index}.mp4"
        with VideoWriter(path, FPS, both.shape[2], both.shape[1], (sound[None], AUDIO_SAMPLE_RATE)) as out:
            out.write(both)


def spread(clips: list[Clip], count: int) -> list[Clip]:
    """So many clips, or all there are, from the first to the last."""
    places = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    return [clips[place] for place in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--vae", type=Path, help="default: the one inside the model")
    parser.add_argument("--world", type=Path, required=True, help="held-out clips by make.py")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--size", type=int, help="of the frames; what the model was trained at unless given")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="exact", help="shortcuts of Speed Options")
    parser.add_argument("--look", choices=("shaded", simple.LOOK), default="shaded", help="how the clips were drawn")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument("--videos", type=Path, help="folder for the clips, made beside true")
    given = parser.parse_args()
    vae = given.vae or given.model
    makers = {
        "model": lambda: Maker(given.model, vae, given.size, given.steps, given.guidance, PRESETS[given.preset]),
        "ceiling": lambda: Ceiling(vae),
        "floor": lambda: floor,
    }
    clips = spread(read_manifest(given.world), given.clips)
    read, table = simple.mouth_opening if given.look == simple.LOOK else mouth_opening, {}
    for row in given.rows:
        videos = given.videos if row == "model" else None
        table[row] = measure(makers[row](), clips, videos, read, revoice=row == "model")
        if given.json:
            write_json(given.json, table)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()

"""How well a model speaks, on characters, voices and gestures it never saw.

python -m drawn_world.measure MODEL --vae VAE --world HELD_OUT_CLIPS
Lip correlation: of the mouth's opening, read off the pictures, with the true one. Hands: mean distance of MediaPipe's
points in the made frames from the true keypoints, in % of the width, over the hands it finds. PSNR: outside of mouth,
hands and arms, against the true frames. Flicker: temporal standard deviation of the true frames' still background.
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
from echomimic_core.landmarks import HANDS, Wanted, as_pictures, find_in_pictures, load_networks
from echomimic_core.media.opencv import cv2
from echomimic_core.media.video import VideoWriter
from echomimic_core.models.build import NETWORKS, build, config_of
from echomimic_core.networks.frozen_vae import load_vae
from echomimic_core.pose.hand_pose import HandPose
from echomimic_core.training.data.shards import Clip, read_manifest
from echomimic_core.training.model.networks import TrainingModel
from echomimic_core.training.run.validation import sample_clip
from echomimic_core.training.settings import Settings, ValidationSettings

from .character import MOUTH_INSIDE

# How the finished model is used: hands drawn, audio everywhere.
STATE = APDHState("use", ("hands",), ("lips", "face", "body"), 0.0, "body")
FRAMES = 48
# A pixel this far from the colour of the inside of a mouth, in RGB, counts as outside.
MOUTH_COLOUR_REACH = 90.0
DETECTOR_SIZE = 640
# An arm covers so much on either side of its bones, in frame widths.
ARM_REACH = 0.07


@dataclass
class Made:
    """A held-out clip: true and made frames (F, s, s, 3) uint8, and the true pose."""

    pose: HandPose
    true: np.ndarray
    made: np.ndarray


def mouth_opening(frames: np.ndarray, pose: HandPose) -> np.ndarray:
    """(F,): height of what has the colour of the inside of a mouth, in the middle of where the mouth should be."""
    size = frames.shape[1]
    openings = []
    for frame, face in zip(frames, pose.faces, strict=True):
        half = 0.06 * np.linalg.norm(face[16] - face[0])
        low, high = np.array([face[51, 0] - half, face[33, 1]]), np.array([face[51, 0] + half, face[8, 1] + 0.03])
        (left, top), (right, bottom) = (np.clip(v * size, 0, size).round().astype(int) for v in (low, high))
        area = frame[top:bottom, left : max(right, left + 1)].astype(float)
        distance = np.linalg.norm(area - MOUTH_INSIDE, axis=-1)
        openings.append(np.clip(1 - distance / MOUTH_COLOUR_REACH, 0, 1).sum(0).mean() / size)
    return np.array(openings)


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
    """(F, size, size) bool: outside of mouth, hands and arms."""
    masks = np.ones((len(pose), size, size), np.uint8)

    def places(points: np.ndarray) -> np.ndarray:
        return np.round(points * size).astype(np.int32)

    width = max(1, round(2 * ARM_REACH * size))
    for mask, face, hands, body in zip(masks, pose.faces, pose.hands, pose.bodies, strict=True):
        for arm in (body[[5, 6, 7]], body[[2, 3, 4]]):
            cv2.polylines(mask, [places(arm)], False, 0, width)
        for hand in hands:
            hull = cv2.convexHull(places(hand))
            cv2.fillPoly(mask, [hull], 0)
            cv2.polylines(mask, [hull], True, 0, width)
        lips = cv2.convexHull(places(np.concatenate([face[48:68], face[8:9]])))
        cv2.fillPoly(mask, [lips], 0)
        cv2.polylines(mask, [lips], True, 0, max(1, size // 24))
    return masks.astype(bool)


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """In dB, of frames (F, s, s, 3) uint8 where the mask (F, s, s) is true."""
    error = np.square(a.astype(float) - b).mean(-1)[mask].mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def flicker(clip: Made) -> float:
    """In 255ths: temporal standard deviation where the true frames never change."""
    still = (clip.true == clip.true[:1]).all((0, -1))
    return float(clip.made[:, still].astype(float).std(0).mean()) if still.any() else 0.0


def hand_errors(clips: list[Made]) -> dict[str, float]:
    """Distance of the hands that MediaPipe's networks find from the true ones in % of the width, in true and in made
    frames, and the share found."""
    networks, results = load_networks(("palm", "hand")), {}
    for name in ("true", "made"):
        errors, count = [], 0
        for clip in clips:
            for frame, true in zip(getattr(clip, name)[::6], clip.pose.hands[::6], strict=True):
                large = cv2.resize(frame, (DETECTOR_SIZE,) * 2, interpolation=cv2.INTER_CUBIC)
                (found,) = find_in_pictures(HANDS, as_pictures(large, networks), networks, Wanted(2, detection=0.3))
                count += 2
                errors += [np.linalg.norm(true - hand.points / DETECTOR_SIZE, axis=-1).mean(1).min() for hand in found]
        results[f"hand_error_{name}"] = round(100 * float(np.mean(errors)), 2) if errors else float("nan")
        results[f"hands_found_{name}"] = round(100 * len(errors) / count, 1)
    return results


class Maker:
    """Makes held-out clips with a model and its VAE."""

    def __init__(self, model: Path, vae: Path, size: int | None, steps: int, guidance: float):
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
        made = sample_clip(self.model, self.vae, heard, true[0], frames, STATE, self.settings)
        return Made(clip.pose().take(np.arange(frames)), true, made)


class _Revoiced:
    """A clip with the voice of another."""

    def __init__(self, clip: Clip, voice: Clip):
        self.pose, self.audio = clip.pose, voice.audio


def measure(maker: Maker, clips: list[Clip], videos: Path | None = None) -> dict[str, float]:
    """The numbers of this module's docstring, means over the clips."""
    own = [maker(clip) for clip in clips]
    others = [maker(clip, voice) for clip, voice in zip(clips, clips[1:] + clips[:1], strict=True)]

    def lips(made: list[Made], frames: str = "made") -> list[float]:
        return [correlation(mouth_opening(getattr(m, frames), m.pose), true_opening(m.pose)) for m in made]

    def mean(values: Iterable[float], digits: int = 3) -> float:
        return round(float(np.mean(list(values))), digits)

    still = [still_mask(m.pose, m.true.shape[1]) for m in own]
    table = {
        "clips": len(clips),
        "lip_correlation": mean(lips(own)),
        "lip_correlation_standard_error": round(float(np.std(lips(own)) / max(1, len(own) - 1) ** 0.5), 3),
        "lip_correlation_other_voice": mean(lips(others)),
        "lip_correlation_of_the_reader": mean(lips(own, "true")),
        "psnr_still": mean((psnr(m.made, m.true, k) for m, k in zip(own, still, strict=True)), 2),
        "ssim": mean((ssim(a, b) for m in own for a, b in zip(m.made[::4], m.true[::4], strict=True)), 4),
        "flicker": mean(map(flicker, own), 2),
        **hand_errors(own),
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
    parser.add_argument("--videos", type=Path, help="folder for the clips, made beside true")
    given = parser.parse_args()
    maker = Maker(given.model, given.vae or given.model, given.size, given.steps, given.guidance)
    clips = spread(read_manifest(given.world), given.clips)
    print(json.dumps(measure(maker, clips, given.videos), indent=1))


if __name__ == "__main__":
    main()

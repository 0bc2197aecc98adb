"""From prepared clips to training samples.

Every random choice of a sample follows from (seed, step, place in the batch) alone. So the data do not depend on the
number of processes or workers, and a run that is resumed sees exactly what it would have seen.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ...apdh.schedule import APDHState, keep_groups
from ...apdh.steering import box_mask, face_box, feather_mask
from ...audio import gather_tokens
from ...config import FPS, LIP_POINTS, PIXELS_PER_LATENT, TRAIN_TIMESTEPS
from ...pose import HandPose
from ...pose.draw import draw_maps
from ...sampling.schedule import trailing_timesteps
from ..settings import Settings
from .details import crop_corner, hand_cells
from .hpa import choose_placement, head_mask, latent_mask, pad_frames, pad_pose
from .shards import HEADSHOT, Clip, ClipInfo, ShardError, read_latents, read_manifest
from .squares import squares_of
from .view import View, cropped, whole_view

MASK_FEATHER = 0.02
Key = tuple[int, int]


class StepSampler(Sampler[Key]):
    """Keys (step, index in the global batch) of one process, from `first_step` on.

    The global batch has processes x batch_size x accumulation samples; in each pass every process takes its share of
    neighbours, so that a step sees the same samples however many processes there are.
    """

    def __init__(self, first_step: int, steps: int, batch_size: int, accumulation: int, rank: int = 0, world: int = 1):
        self.first_step, self.steps = first_step, steps
        self.batch_size, self.accumulation = batch_size, accumulation
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return max(0, self.steps - self.first_step) * self.batch_size * self.accumulation

    def __iter__(self):
        for step in range(self.first_step, self.steps):
            for micro in range(self.accumulation):
                begin = (micro * self.world + self.rank) * self.batch_size
                for index in range(begin, begin + self.batch_size):
                    yield step, index


class ClipDataset(Dataset):
    """Training samples by key (step, index); see `__getitem__`."""

    def __init__(self, settings: Settings, clips: list[Clip] | None = None):
        self.settings = settings
        self.schedule = settings.schedule()
        # Where kept latents are read from (`latents.keep_latents`), if any are
        self.latents_mark: str | None = None
        if clips is None and not settings.data.folders:
            raise ShardError("data.folders is empty: give the folders of clips created by prepare, for example [clips]")
        clips = clips or [clip for folder in settings.data.folders for clip in read_manifest(folder)]
        self.found = clips
        needed = max(2, settings.clip_frames)
        long_enough = [clip for clip in clips if len(clip) >= needed]
        if not long_enough:
            raise ShardError(f"none of the {len(clips)} clips has the {needed} frames that training needs")
        self.clips, self.held_out = divide(long_enough, settings.data.held_out)
        self.weights = self._weights()
        # A step is of one size, or its samples would make no batch
        self.buckets = [nearest(settings.data.sizes, clip.info) for clip in self.clips]

    def _weights(self) -> np.ndarray:
        """How often each clip is taken: by its length, its kind's share and its folder's weight."""
        data, lengths = self.settings.data, np.array([len(clip) for clip in self.clips], float)
        if data.folder_weights:
            folders = np.array([str(clip.folder) for clip in self.clips])
            for folder, weight in zip(data.folders, data.folder_weights, strict=True):
                inside = folders == str(Path(folder))
                if inside.any():
                    lengths[inside] *= weight / lengths[inside].sum()
        headshots = np.array([clip.info.kind == HEADSHOT for clip in self.clips])
        mixed = headshots.any() and not headshots.all()
        share = data.headshot_share if mixed else float(headshots.all())
        weights = np.zeros(len(lengths))
        for chosen, part in ((headshots, share), (~headshots, 1.0 - share)):
            if chosen.any():
                weights[chosen] = part * lengths[chosen] / lengths[chosen].sum()
        return weights / weights.sum()

    @property
    def all_clips(self) -> list[Clip]:
        return [*self.clips, *self.held_out]

    def digest(self) -> str:
        """What the manifests list, as one short text, wherever the folders lie."""
        listed = sorted(json.dumps(clip.info.listed()) for clip in self.found)
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:32]

    def validation_clips(self) -> list[Clip]:
        """What to measure and generate: held-out clips, or those learned from where none are; semi-body ones if any."""
        clips = self.held_out or self.clips
        return [clip for clip in clips if clip.info.kind != HEADSHOT] or clips

    def state(self, step: int) -> APDHState:
        return self.schedule.at(self.settings.apdh.start_step + step)

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """A sample, with F frames of s x s pixels and latents of h x h; in buckets of other shapes, of theirs.

        Returns
        -------
        frames (F, 3, s, s) and reference (3, s, s) uint8; pose_maps (F, 3, s, s) uint8; squares (F, 4, 4), where L_pose
        looks; audio (F, 50, 384);
        audio_mask (h, h) and pixel_mask (1, s, s) in 0..1; loss_mask (F, 1, h, h), weights of the latent loss; noise
        (F, 4, h, h) and offset (1, 4, 1, 1); timestep (); picked (n,) frames for the PhD loss, and with
        `loss.decoded_size` crop (2,), left and top in cells of what is decoded of them; dropped, picture_kept,
        audio_kept and pose_kept () bool.
        """
        step, index = key
        rng = np.random.default_rng([self.settings.seed, step, index])
        state = self.state(step)
        clip = self.clips[int(rng.choice(len(self.clips), p=self.weights_at(step)))]
        return self.sample(clip, state, rng)

    def weights_at(self, step: int) -> np.ndarray:
        """How often each clip is taken at a step: all clips of a step share one bucket, drawn by what is in it."""
        sizes = sorted(set(self.buckets))
        if len(sizes) == 1:
            return self.weights
        inside = np.array([[bucket == size for bucket in self.buckets] for size in sizes])
        shares = inside @ self.weights
        drawn = np.random.default_rng([self.settings.seed, step]).choice(len(sizes), p=shares / shares.sum())
        weights = np.where(inside[drawn], self.weights, 0.0)
        return weights / weights.sum()

    def sample(self, clip: Clip, state: APDHState, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """A sample of a clip, all of whose random choices are `rng`'s; see `__getitem__`."""
        settings, data = self.settings, self.settings.data
        count = settings.clip_frames
        start = int(rng.integers(0, len(clip) - count + 1))
        shown = list(range(start, start + count))
        reference = far_frame(len(clip), start, count, data.reference_distance, rng)
        view = self.view(clip, shown, rng)
        sample = self.pictures(clip, [*shown, reference], shown, state, rng, view)
        if self.latents_mark is not None:
            sample |= self.kept_latents(clip, [*shown, reference], view.flipped)
        sample["audio"] = gather_tokens(torch.from_numpy(clip.audio()), np.array(shown), FPS)
        timestep, few = int(rng.integers(0, TRAIN_TIMESTEPS)), settings.train.sampling_steps
        if few:
            timestep = trailing_timesteps(few)[timestep * few // TRAIN_TIMESTEPS]
        sample["timestep"] = torch.tensor(timestep)
        sample["dropped"] = torch.tensor(bool(rng.random() < settings.train.condition_dropout))
        sample["pose_kept"] = torch.tensor(bool(rng.random() >= state.pose_dropout))
        for name, share in (("picture", settings.train.picture_dropout), ("audio", settings.train.audio_dropout)):
            # Nothing is drawn where nothing is dropped, so that other draws stay what they were
            sample[f"{name}_kept"] = torch.tensor(not share or bool(rng.random() >= share))
        picked = rng.choice(count, size=min(count, settings.loss.decoded_frames), replace=False)
        sample["picked"] = torch.from_numpy(np.sort(picked))
        generator = torch.Generator().manual_seed(int(rng.integers(0, 2**63 - 1)))
        channels, cells = settings.model.latent_channels, sample["audio_mask"].shape
        sample["noise"] = torch.randn(count, channels, *cells, generator=generator)
        sample["offset"] = torch.randn(1, channels, 1, 1, generator=generator)
        return sample

    def view(self, clip: Clip, shown: list[int], rng: np.random.Generator) -> View:
        """How a sample looks at its clip; a headshot is placed anew in every sample, and never cropped."""
        data, info = self.settings.data, clip.info
        view = whole_view(info.frame, nearest(data.sizes, info))
        if data.crops and info.kind != HEADSHOT:
            view = cropped(view, clip.pose().take(np.array(shown)), data.crops, rng)
        return replace(view, flipped=bool(data.flips and rng.random() < data.flips))

    def kept_latents(self, clip: Clip, indices: list[int], flipped: bool = False) -> dict[str, torch.Tensor]:
        cells = self.settings.data.size // PIXELS_PER_LATENT
        kept = clip.info.kind != HEADSHOT and not flipped
        if kept:
            latents = torch.from_numpy(read_latents(clip, self.latents_mark, indices))
        else:
            latents = torch.zeros(len(indices), self.settings.model.latent_channels, cells, cells)
        return {"latents": latents, "has_latents": torch.tensor(kept)}

    def pictures(
        self,
        clip: Clip,
        indices: list[int],
        shown: list[int],
        state: APDHState,
        rng: np.random.Generator,
        view: View,
    ) -> dict[str, torch.Tensor]:
        """Frames, reference, pose maps and masks of a clip; `indices` are the frames `shown` and the reference."""
        weights, lip_weight = self.settings.loss, self.settings.loss.lip_weight
        height, width = view.height, view.width
        cells = (height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
        frames, pose = clip.frames(indices), clip.pose()
        if clip.info.kind == HEADSHOT or state.audio in ("lips", "head"):
            needed = "lips" if state.audio == "lips" else "head"
            who = "headshots" if clip.info.kind == HEADSHOT else f"audio that reaches the {needed}"
            check_face(clip, pose.take(np.array(shown)), shown, needed, f"{who} must have")
        if lip_weight != 1:
            why = f"loss.lip_weight {lip_weight:g} needs (set it to 1 to do without)"
            check_face(clip, pose.take(np.array(shown)), shown, "lips", why)
        loss = torch.ones(height, width)
        if clip.info.kind == HEADSHOT:
            alone = View(*clip.info.frame, 0, 0, *clip.info.frame, flipped=view.flipped)
            frames, pose = alone.frames(frames), alone.pose(pose)
            place = choose_placement(pose, height, rng, width)
            frames, covered = pad_frames(frames, place)
            pose = pad_pose(pose, place)
            loss = head_mask(pose.take(np.array(shown)), covered)
        else:
            frames, pose = view.frames(frames), view.pose(pose)
        window = pose.take(np.array(shown))
        maps = draw_maps(keep_groups(pose, state.keypoints), shown, height, width, groups=state.keypoints)
        loss_cells, audio = latent_mask(loss), audio_reach(window, state.audio, *cells)
        if clip.info.kind == HEADSHOT:
            audio = audio * loss_cells
        if lip_weight != 1:
            loss_cells = loss_cells * (1 + (lip_weight - 1) * audio_reach(window, "lips", *cells))
        loss_cells = loss_cells[None, None]
        if weights.hand_weight != 1:
            loss_cells = loss_cells * (1 + (weights.hand_weight - 1) * hand_cells(window, *cells))
        else:
            loss_cells = loss_cells.expand(len(shown), -1, -1, -1)
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        decoded = weights.decoded_size // PIXELS_PER_LATENT
        crop = {"crop": crop_corner(window, decoded, cells, rng)} if decoded else {}
        return crop | {
            "frames": pictures[:-1],
            "reference": pictures[-1],
            "pose_maps": torch.from_numpy(maps).permute(0, 3, 1, 2),
            "squares": torch.from_numpy(squares_of(window, state.keypoints)),
            "audio_mask": audio,
            "loss_mask": loss_cells,
            "pixel_mask": loss[None],
        }


def nearest(sizes: Sequence[tuple[int, int]], info: ClipInfo) -> tuple[int, int]:
    """The size (width, height) whose shape is most like that of a clip's frames; of like shapes the first."""
    width, height = info.frame
    return min(sizes, key=lambda size: abs(math.log(size[0] / size[1] * height / width)))


def far_frame(length: int, start: int, count: int, distance: int, rng: np.random.Generator) -> int:
    """A frame of a clip for its reference, at least `distance` frames from those shown, or as far as there are any."""
    if not distance:
        return int(rng.integers(0, length))
    away = np.maximum(start - np.arange(length), np.arange(length) - (start + count - 1))
    far = np.flatnonzero(away >= min(distance, away.max()))
    return int(far[rng.integers(0, len(far))])


def divide(clips: list[Clip], held_out: float) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from and clips held out, each in the order given.

    Whole videos are held out where they are short enough, and else the last clips of one. Which ones follows from
    their names alone, so it is the same in every run on the same data.
    """
    count = int(held_out) if held_out >= 1 else round(held_out * len(clips))
    if held_out > 0:
        count = max(1, count)
    if count >= len(clips):
        raise ShardError(
            f"data.held_out excludes {count} of {len(clips)} clips from training, so none is left: lower it, or "
            "prepare more videos"
        )
    videos: dict[str, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.info.start, clip.info.clip)):
        videos.setdefault(f"{clip.folder.name}/{clip.info.shard.rpartition('-')[0]}/{clip.info.source}", []).append(
            clip
        )
    held: list[Clip] = []
    too_long = []
    for name in sorted(videos, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if len(videos[name]) <= count - len(held):
            held += videos[name]
        else:
            too_long.append(videos[name])
    if len(held) < count:
        held += too_long[0][len(held) - count :]
    chosen = {id(clip) for clip in held}
    return [clip for clip in clips if id(clip) not in chosen], [clip for clip in clips if id(clip) in chosen]


def check_face(clip: Clip, pose: HandPose, shown: list[int], part: str, why: str) -> None:
    """ShardError if the pose of the frames shown has no points of a part that, as `why` says, is needed."""
    points = LIP_POINTS if part == "lips" else slice(None)
    if pose.faces is not None and (pose.face_scores is None or (pose.face_scores[:, points] > 0).any()):
        return
    raise ShardError(
        f"clip {clip.info.clip} of {clip.folder / clip.info.shard} has no points of the {part} in frames {shown[0]} to "
        f"{shown[-1]}, which {why}: prepare its video again, or take the clip out of the manifest"
    )


def audio_reach(pose: HandPose, reach: str, height: int, width: int | None = None) -> torch.Tensor:
    """How far audio may reach in a clip, (height, width) cells in 0..1: the box of lips or head in all its frames.

    By the definition of sampling (`apdh`); outside of the softened box it is exactly 0. Square without a width.
    """
    width = height if width is None else width
    if reach in ("off", "body"):
        return torch.full((height, width), float(reach == "body"))
    pose = pose.whole_canvas()
    scores = None if pose.face_scores is None else torch.from_numpy(pose.face_scores)
    box = face_box(torch.from_numpy(pose.faces), scores, reach)
    return feather_mask(box_mask(box, height, width), MASK_FEATHER)[0]

"""From prepared clips to training samples.

Every random choice of a sample follows from (seed, step, place in the batch) alone. So the data do not depend on the
number of processes or workers, and a run that is resumed sees exactly what it would have seen.
"""

import hashlib
import json
from dataclasses import asdict

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
from .shards import HEADSHOT, Clip, ShardError, read_latents, read_manifest
from .squares import squares_of

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
        kinds = [clip.info.kind == HEADSHOT for clip in self.clips]
        lengths = np.array([len(clip) for clip in self.clips], float)
        share = settings.data.headshot_share if any(kinds) and not all(kinds) else float(all(kinds))
        headshots = np.array(kinds)
        weights = np.zeros(len(lengths))
        for chosen, part in ((headshots, share), (~headshots, 1.0 - share)):
            if chosen.any():
                weights[chosen] = part * lengths[chosen] / lengths[chosen].sum()
        self.weights = weights / weights.sum()

    @property
    def all_clips(self) -> list[Clip]:
        return [*self.clips, *self.held_out]

    def digest(self) -> str:
        """What the manifests list, as one short text, wherever the folders lie."""
        listed = sorted(json.dumps(asdict(clip.info)) for clip in self.found)
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:32]

    def validation_clips(self) -> list[Clip]:
        """What to measure and generate: held-out clips, or those learned from where none are; semi-body ones if any."""
        clips = self.held_out or self.clips
        return [clip for clip in clips if clip.info.kind != HEADSHOT] or clips

    def state(self, step: int) -> APDHState:
        return self.schedule.at(self.settings.apdh.start_step + step)

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        """A sample, with F frames of s x s pixels and latents of h x h.

        Returns
        -------
        frames (F, 3, s, s) and reference (3, s, s) uint8; pose_maps (F, 3, s, s) uint8; squares (F, 4, 4), where L_pose
        looks; audio (F, 50, 384);
        audio_mask (h, h) and pixel_mask (1, s, s) in 0..1; loss_mask (F, 1, h, h), weights of the latent loss; noise
        (F, 4, h, h) and offset (1, 4, 1, 1); timestep (); picked (n,) frames for the PhD loss, and with
        `loss.decoded_size` crop (2,), left and top in cells of what is decoded of them; dropped and pose_kept () bool.
        """
        step, index = key
        rng = np.random.default_rng([self.settings.seed, step, index])
        state = self.state(step)
        clip = self.clips[int(rng.choice(len(self.clips), p=self.weights))]
        return self.sample(clip, state, rng)

    def sample(self, clip: Clip, state: APDHState, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """A sample of a clip, all of whose random choices are `rng`'s; see `__getitem__`."""
        settings = self.settings
        count = settings.clip_frames
        start = int(rng.integers(0, len(clip) - count + 1))
        shown = list(range(start, start + count))
        reference = int(rng.integers(0, len(clip)))
        sample = self.pictures(clip, [*shown, reference], shown, state, rng)
        if self.latents_mark is not None:
            sample |= self.kept_latents(clip, [*shown, reference])
        sample["audio"] = gather_tokens(torch.from_numpy(clip.audio()), np.array(shown), FPS)
        timestep, few = int(rng.integers(0, TRAIN_TIMESTEPS)), settings.train.sampling_steps
        if few:
            timestep = trailing_timesteps(few)[timestep * few // TRAIN_TIMESTEPS]
        sample["timestep"] = torch.tensor(timestep)
        sample["dropped"] = torch.tensor(bool(rng.random() < settings.train.condition_dropout))
        sample["pose_kept"] = torch.tensor(bool(rng.random() >= state.pose_dropout))
        picked = rng.choice(count, size=min(count, settings.loss.decoded_frames), replace=False)
        sample["picked"] = torch.from_numpy(np.sort(picked))
        generator = torch.Generator().manual_seed(int(rng.integers(0, 2**63 - 1)))
        cells = settings.data.size // PIXELS_PER_LATENT
        channels = settings.model.latent_channels
        sample["noise"] = torch.randn(count, channels, cells, cells, generator=generator)
        sample["offset"] = torch.randn(1, channels, 1, 1, generator=generator)
        return sample

    def kept_latents(self, clip: Clip, indices: list[int]) -> dict[str, torch.Tensor]:
        cells = self.settings.data.size // PIXELS_PER_LATENT
        if clip.info.kind == HEADSHOT:
            latents = torch.zeros(len(indices), self.settings.model.latent_channels, cells, cells)
        else:
            latents = torch.from_numpy(read_latents(clip, self.latents_mark, indices))
        return {"latents": latents, "has_latents": torch.tensor(clip.info.kind != HEADSHOT)}

    def pictures(
        self, clip: Clip, indices: list[int], shown: list[int], state: APDHState, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """Frames, reference, pose maps and masks of a clip; `indices` are the frames `shown` and the reference."""
        size, weights = self.settings.data.size, self.settings.loss
        lip_weight = weights.lip_weight
        cells = size // PIXELS_PER_LATENT
        frames, pose = clip.frames(indices), clip.pose()
        if clip.info.kind == HEADSHOT or state.audio in ("lips", "head"):
            needed = "lips" if state.audio == "lips" else "head"
            who = "headshots" if clip.info.kind == HEADSHOT else f"audio that reaches the {needed}"
            check_face(clip, pose.take(np.array(shown)), shown, needed, f"{who} must have")
        if lip_weight != 1:
            why = f"loss.lip_weight {lip_weight:g} needs (set it to 1 to do without)"
            check_face(clip, pose.take(np.array(shown)), shown, "lips", why)
        loss = torch.ones(size, size)
        if clip.info.kind == HEADSHOT:
            place = choose_placement(pose, size, rng)
            frames, covered = pad_frames(frames, place)
            pose = pad_pose(pose, place)
            loss = head_mask(pose.take(np.array(shown)), covered)
        else:
            frames = resize(frames, size)
        window = pose.take(np.array(shown))
        maps = draw_maps(keep_groups(pose, state.keypoints), shown, size, size, groups=state.keypoints)
        loss_cells, audio = latent_mask(loss), audio_reach(window, state.audio, cells)
        if clip.info.kind == HEADSHOT:
            audio = audio * loss_cells
        if lip_weight != 1:
            loss_cells = loss_cells * (1 + (lip_weight - 1) * audio_reach(window, "lips", cells))
        loss_cells = loss_cells[None, None]
        if weights.hand_weight != 1:
            loss_cells = loss_cells * (1 + (weights.hand_weight - 1) * hand_cells(window, cells))
        else:
            loss_cells = loss_cells.expand(len(shown), -1, -1, -1)
        pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)
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


def audio_reach(pose: HandPose, reach: str, cells: int) -> torch.Tensor:
    """How far audio may reach in a clip, (cells, cells) in 0..1: the box of lips or head in all its frames.

    By the definition of sampling (`apdh`); outside of the softened box it is exactly 0.
    """
    if reach in ("off", "body"):
        return torch.full((cells, cells), float(reach == "body"))
    pose = pose.whole_canvas()
    scores = None if pose.face_scores is None else torch.from_numpy(pose.face_scores)
    box = face_box(torch.from_numpy(pose.faces), scores, reach)
    return feather_mask(box_mask(box, cells, cells), MASK_FEATHER)[0]


def resize(frames: np.ndarray, size: int) -> np.ndarray:
    """Square frames (n, s, s, 3) uint8 at another size."""
    from ...media.opencv import cv2

    if frames.shape[1] == size:
        return frames
    how = cv2.INTER_AREA if size < frames.shape[1] else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (size, size), interpolation=how) for frame in frames])

"""Clips made in the tests: a drawn person whose mouth follows the voice and whose hand follows the pose."""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS, ModelConfig
from echomimic_core.pose import HandPose
from echomimic_core.pose.landmarks import TYPICAL_FACE
from echomimic_core.training.data.shards import (
    HEADSHOT,
    SEMI_BODY,
    ClipData,
    ClipInfo,
    encode_jpeg,
    write_manifest,
    write_shard,
)

SIZE = 128
VAE_CHANNELS = 8
MICRO = ModelConfig(
    block_out_channels=(32, 32, 64, 64),
    pose_block_channels=(8, 8, 16, 16),
    layers_per_block=1,
    attention_heads=4,
    norm_num_groups=8,
)
LIPS = (0.40, 0.30, 0.60, 0.44)  # Left, top, right, bottom of where the mouth moves
VOICE = np.random.default_rng(7).normal(size=(5, 384)).astype(np.float32)


def face_points(frames):
    """68 points whose lips lie in the middle of `LIPS`, (F, 68, 2)."""
    low, high = TYPICAL_FACE.min(0), TYPICAL_FACE.max(0)
    face = (TYPICAL_FACE - low) / (high - low) * (0.36, 0.36) + (0.32, 0.10)
    return np.repeat(face[None], frames, 0)


def make_pose(hand_x):
    """A pose whose left hand is at `hand_x` (F,) across the picture, low down; a body and a face that keep still."""
    frames = len(hand_x)
    shape = np.array([[(i % 5) * 0.02 - 0.04, -(i // 5) * 0.03] for i in range(21)])
    hands = np.zeros((frames, 2, 21, 2))
    hands[:, 0] = shape + np.stack([hand_x, np.full(frames, 0.85)], -1)[:, None]
    scores = np.zeros((frames, 2, 21))
    scores[:, 0] = 1.0
    body = np.tile([(0.5, 0.3), (0.5, 0.5)] + [(0.3, 0.55), (0.25, 0.7), (0.3, 0.9)] * 2 + [(0.5, 0.95)] * 10, (1, 1))
    return HandPose(
        hands=hands,
        hand_scores=scores,
        bodies=np.repeat(body[None], frames, 0),
        body_scores=np.ones((frames, 18)),
        faces=face_points(frames),
        face_scores=np.ones((frames, 68)),
        width=SIZE,
        height=SIZE,
    )


def draw(loudness, hand_x, colour, size=SIZE):
    """A frame (size, size, 3) uint8: head, a mouth as dark and tall as the voice is loud, a hand."""
    import cv2

    def at(x, y):
        return round(x * size), round(y * size)

    frame = np.full((size, size, 3), colour, np.uint8)
    cv2.circle(frame, at(0.5, 0.28), round(0.2 * size), (230, 190, 160), -1)
    left, top, right, bottom = LIPS
    height = (bottom - top) * (0.15 + 0.85 * loudness) / 2
    middle = (top + bottom) / 2
    cv2.rectangle(frame, at(left, middle - height), at(right, middle + height), (60, 0, 20), -1)
    cv2.circle(frame, at(hand_x, 0.8), round(0.07 * size), (250, 230, 200), -1)
    return frame


def voice_states(loudness):
    """Whisper-like states (T, 5, 384) at 50 Hz of a loudness (F,) at 24 frames a second."""
    times = np.arange(round(len(loudness) / FPS * 50)) / 50 * FPS
    level = np.asarray(loudness)[np.minimum(times.astype(int), len(loudness) - 1)]
    return (level[:, None, None] * 2 - 1) * VOICE


def make_clip(loudness, hand_x, colour=(40, 90, 140), name="000", kind=SEMI_BODY, shard="a.safetensors"):
    frames = len(loudness)
    pictures = [draw(level, x, colour) for level, x in zip(loudness, hand_x, strict=True)]
    info = ClipInfo(shard, name, kind, frames, SIZE, "drawn", 0.0)
    sound = np.sin(np.arange(round(frames / FPS * AUDIO_SAMPLE_RATE)) * 0.2).astype(np.float32) * 0.3
    return ClipData(info, [encode_jpeg(p) for p in pictures], make_pose(hand_x), voice_states(loudness), sound)


def write_clips(folder, clips):
    folder.mkdir(parents=True, exist_ok=True)
    for shard in {clip.info.shard for clip in clips}:
        write_shard(folder / shard, [clip for clip in clips if clip.info.shard == shard])
    write_manifest(folder, [clip.info for clip in clips])
    return folder


def talking(frames=24, seed=0):
    """Loudness (F,) that jumps between silence and shouting, and a hand that wanders (F,)."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.permutation([0.0, 1.0] * ((frames + 7) // 8)), 4)[:frames]
    return loudness, 0.5 + 0.3 * np.sin(np.arange(frames) * 0.35 + seed)


def two_clips(folder, frames=24, headshot=False):
    clips = [
        make_clip(*talking(frames, 1), colour=(40, 90, 140), name="000"),
        make_clip(*talking(frames, 2), colour=(120, 60, 60), name="001"),
    ]
    if headshot:
        clips.append(make_clip(*talking(frames, 3), colour=(10, 140, 60), name="002", kind=HEADSHOT))
    return write_clips(folder, clips)


class CountedClip:
    """A clip read from nowhere, which tells what was taken of it: picture k is of the grey value `first` + k, and the
    audio states at position p hold p."""

    def __init__(self, frames=40, size=64, kind=SEMI_BODY, first=0, folder="counted", shape=(None, None)):
        self.info = ClipInfo("a.safetensors", f"{first:03d}", kind, frames, size, "counted", 0.0, *shape)
        self.first, self.folder = first, Path(folder)

    def __len__(self):
        return self.info.frames

    def frames(self, indices):
        width, height = self.info.frame
        return np.stack([np.full((height, width, 3), self.first + k, np.uint8) for k in indices])

    def pose(self):
        pose = make_pose(np.linspace(0.2, 0.8, len(self)))
        return dataclasses.replace(pose, width=self.info.frame[0], height=self.info.frame[1])

    def audio(self):
        positions = np.arange(round(len(self) / FPS * 50), dtype=np.float32)
        return np.tile(positions[:, None, None], (1, 5, 384))


def write_vae(path):
    """The demo's VAE, whose latents are the picture's colours, cut to the few channels that carry something."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))
    from safetensors.torch import save_file
    from tiny_models import tiny_vae

    def cut(tensor):
        return tensor[tuple(slice(0, VAE_CHANNELS) for _ in tensor.shape[:2])].contiguous() if tensor.ndim else tensor

    save_file({name: cut(tensor) for name, tensor in tiny_vae().items()}, path)
    return path

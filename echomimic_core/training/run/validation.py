"""Validation clips: current samples next to the ground truth, with audio."""

from pathlib import Path

import numpy as np
import torch

from ...apdh.schedule import APDHState, keep_groups
from ...audio import AudioTokens
from ...config import AUDIO_SAMPLE_RATE, FPS, SamplingConfig
from ...media.video import VideoWriter, to_uint8
from ...models.reference_unet import ReferenceFeatures
from ...networks.frozen_vae import FRAMES_AT_ONCE, FrozenVAE
from ...pose.draw import draw_maps
from ...sampling.clip import ClipConditions
from ...sampling.denoiser import ClipDenoiser
from ...sampling.loop import sample
from ...sampling.speed import EXACT, SpeedOptions
from ..data.dataset import ClipDataset, audio_reach, check_face, nearest
from ..data.shards import Clip
from ..data.view import whole_view
from ..model.networks import TrainingModel
from ..settings import Settings


@torch.no_grad()
def validate(
    model: TrainingModel,
    vae: FrozenVAE,
    dataset: ClipDataset,
    state: APDHState,
    settings: Settings,
    folder: Path,
    step: int,
) -> list[np.ndarray]:
    """Sample held-out clips, or the first of the data, as APDH's phase has them: (F, h, 2 w, 3) uint8 each, also as a
    film."""
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for index, clip in enumerate(dataset.validation_clips()[: settings.validation.clips]):
        frames = min(len(clip), settings.validation.frames)
        real = whole_view(clip.info.frame, nearest(settings.data.sizes, clip.info)).frames(clip.frames(range(frames)))
        film = sample_clip(model, vae, clip, real[0], frames, state, settings)
        both = np.concatenate([film, real], axis=2)
        path = folder / f"step-{step:08d}-{index}.mp4"
        sound = clip.sound()[: round(frames / FPS * AUDIO_SAMPLE_RATE)]
        with VideoWriter(path, FPS, both.shape[2], both.shape[1], (sound[None], AUDIO_SAMPLE_RATE)) as writer:
            writer.write(both)
        results.append(both)
    return results


def sample_clip(
    model: TrainingModel,
    vae: FrozenVAE,
    clip: Clip,
    reference: np.ndarray,
    frames: int,
    state: APDHState,
    settings: Settings,
    speed: SpeedOptions = EXACT,
) -> np.ndarray:
    """The clip (F, h, w, 3) uint8 that the model makes of a reference frame (h, w, 3), the clip's voice and pose."""
    device, (height, width) = next(model.parameters()).device, reference.shape[:2]
    picture = torch.from_numpy(reference).permute(2, 0, 1)[None].to(device) / 255
    latents = vae.encode(picture)
    features = ReferenceFeatures(model.reference_unet(latents), *latents.shape[-2:], channels=latents.shape[1])
    pose = clip.pose()
    pose = whole_view((pose.width, pose.height), (width, height)).pose(pose)
    drawn = keep_groups(pose, state.keypoints)

    def pose_maps(indices: list[int]) -> torch.Tensor:
        maps = draw_maps(drawn, indices, height, width, groups=state.keypoints)
        return torch.from_numpy(maps).permute(0, 3, 1, 2)

    audio, mask = None, None
    if state.audio != "off":
        if state.audio != "body":
            why = f"audio that reaches the {state.audio} must have"
            check_face(clip, clip.pose().take(np.arange(frames)), list(range(frames)), state.audio, why)
        audio = AudioTokens(torch.from_numpy(clip.audio()), FPS, frames)
        mask = audio_reach(pose.take(np.arange(frames)), state.audio, *latents.shape[-2:])[None]
    conditions = ClipConditions(features, audio, pose_maps, audio_mask=mask)
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(frames, *latents.shape[1:], generator=generator).to(device)
    config = SamplingConfig(settings.validation.steps, settings.validation.guidance)
    denoiser = ClipDenoiser(model.denoising_unet, model.pose_encoder)
    made = sample(denoiser, conditions, noise, config, speed=speed)
    pictures = torch.cat([vae.decode(chunk).cpu() for chunk in made.split(FRAMES_AT_ONCE)])
    return to_uint8(pictures.clamp(0, 1).permute(0, 2, 3, 1))

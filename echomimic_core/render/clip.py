"""One clip: what the nodes of the first template do, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..apdh.steering import ORIGINAL, APDHOptions
from ..audio import AudioTokens, clip_frames, encode
from ..config import AUDIO_SAMPLE_RATE, FPS, LATENT_CHANNELS, PIXELS_PER_LATENT, SamplingConfig
from ..gestures.library import built_in
from ..gestures.motion import gestures_for
from ..gestures.plan import PlanSettings
from ..landmarks import Networks, shared_networks
from ..media.picture import fit_picture
from ..media.video import to_uint8
from ..models.reference_unet import ReferenceFeatures
from ..networks.frozen_vae import FRAMES_AT_ONCE
from ..pose import HandPose
from ..pose.align import align, on_canvas, warp_picture
from ..pose.detect import steady
from ..pose.detectors.ladder import climb
from ..runtime import Progress
from ..sampling.assemble import assemble
from ..sampling.loop import sample
from .models import Models


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is made; 0 takes the voice's length and what the model was trained with.

    Attributes
    ----------
    width, height : pixels, multiples of 8.
    align : frame the picture and fit the pose to the person, as Align Pose does; else the picture is only cropped.
    pose_fit : "loop", "pingpong" or "hold", for a pose that is shorter than the voice.
    """

    seed: int = 0
    steps: int = 0
    guidance: float = 0.0
    width: int = 0
    height: int = 0
    frames: int = 0
    fps: float = FPS
    align: bool = True
    pose_fit: str = "loop"
    apdh: APDHOptions = ORIGINAL


@torch.no_grad()
def clip(
    models: Models,
    picture: np.ndarray,
    voice: np.ndarray,
    pose: HandPose | None = None,
    settings: ClipSettings = ClipSettings(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    landmarks: Networks | None = None,
) -> Iterator[np.ndarray]:
    """Frames (height, width, 3) uint8 of a person who speaks, as they are decoded; parameters as `clip_latents`."""
    latents = clip_latents(models, picture, voice, pose, settings, progress, landmarks)
    for part in latents.split(FRAMES_AT_ONCE):
        yield from to_uint8(models.vae.decode(part).clamp(0, 1).permute(0, 2, 3, 1).float().cpu())


@torch.no_grad()
def clip_latents(
    models: Models,
    picture: np.ndarray,
    voice: np.ndarray,
    pose: HandPose | None = None,
    settings: ClipSettings = ClipSettings(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    landmarks: Networks | None = None,
) -> torch.Tensor:
    """The clip as latents (F, 4, height / 8, width / 8), scaled by 0.18215.

    Parameters
    ----------
    picture : (H, W, 3) uint8. voice : (samples,) mono at 16 kHz, -1..1.
    pose : of the hands; None makes gestures that follow the voice.
    progress : called with (windows done, windows) while sampling; may raise to cancel.
    landmarks : networks that find the person for `align`; by default those on the processor.

    Raises
    ------
    ValueError : sizes that are not multiples of 8, or a pose that cannot be used.
    """
    width, height = size_of(settings, models.size)
    frames = settings.frames or clip_frames(len(voice), AUDIO_SAMPLE_RATE, settings.fps)
    if pose is None:
        plan = PlanSettings(seed=settings.seed)
        pose, _, _ = gestures_for(torch.from_numpy(voice), built_in(settings.fps), plan, frames=frames)
    if settings.align:
        person = on_canvas(steady(climb(picture, landmarks or shared_networks())[0]), *picture.shape[1::-1])
        aligned = align(person, pose, width, height)
        picture, pose = warp_picture(picture, aligned.matrix, width, height), aligned.pose
    reference = reference_of(models, picture, height, width)
    audio = AudioTokens(encode(models.audio_encoder, voice), settings.fps, frames)
    conditions = assemble(reference, audio, pose, frames, settings.pose_fit, settings.apdh, settings.fps)
    config = SamplingConfig(settings.steps or models.variant.steps, settings.guidance or models.variant.guidance_scale)
    noise = noise_of(settings.seed, frames, height, width).to(models.device)
    return sample(models.denoiser, conditions, noise, config, progress=progress)


def size_of(settings: ClipSettings, trained_at: int) -> tuple[int, int]:
    """Width and height of the video; ValueError if they are not multiples of 8."""
    width = settings.width or settings.height or trained_at
    height = settings.height or settings.width or trained_at
    if width % PIXELS_PER_LATENT or height % PIXELS_PER_LATENT:
        raise ValueError(f"{width}x{height} pixels are not multiples of {PIXELS_PER_LATENT}: choose other sides")
    return width, height


def reference_of(models: Models, picture: np.ndarray, height: int, width: int) -> ReferenceFeatures:
    """The picture as the reference U-Net sees it."""
    seen = fit_picture(torch.from_numpy(picture.copy())[None].float() / 255, height, width, "crop")
    latents = models.vae.encode(seen.permute(0, 3, 1, 2).to(models.device))
    tokens = models.reference_unet(latents.to(models.denoiser.dtype))
    return ReferenceFeatures(tokens, *latents.shape[-2:])


def noise_of(seed: int, frames: int, height: int, width: int) -> torch.Tensor:
    """The noise (frames, 4, h, w) that ComfyUI draws for this seed."""
    shape = (frames, LATENT_CHANNELS, height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

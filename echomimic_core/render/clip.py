"""One clip: what the nodes of the first template do, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..apdh.steering import ORIGINAL, APDHOptions
from ..audio import AudioTokens, clip_frames, encode
from ..choices import FRAMINGS, RETARGET_MODES
from ..config import AUDIO_SAMPLE_RATE, FPS, LATENT_SCALE, PIXELS_PER_LATENT, SamplingConfig
from ..gestures.library import GestureLibrary, built_in
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
from ..sampling.segments import SegmentStore, fingerprint, plan_segments, run_segments, torch_sampler
from ..sampling.speed import EXACT, SpeedOptions
from ..scene.pin import Pin
from .models import Models

HELD_FRAMES = 12
# What is seen beyond the picture's edges, as Align Pose calls it.
FILLS = ("black", "edge")


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is made; 0 takes the voice's length and what the model was trained with.

    Attributes
    ----------
    width, height : pixels, multiples of 8.
    align : frame the picture and fit the pose to the person, as Align Pose does; else the picture is only cropped.
    framing, fill, fit_hands, retarget : as the widgets of Align Pose.
    pose_fit : "loop", "ping-pong" or "hold", for a pose that is shorter than the voice.
    loop : the end of the clip leads back into its start.
    segment_frames : frames that are sampled together; 0 is all. Segments are kept on disk until the video is done, so
        that a run that was cut off goes on there.
    denoise : below 1, a clip that has latents to start from keeps some of them.
    speed : shortcuts, as Speed Options has them; none by default.
    """

    seed: int = 0
    steps: int = 0
    guidance: float = 0.0
    width: int = 0
    height: int = 0
    frames: int = 0
    fps: float = FPS
    align: bool = True
    framing: str = FRAMINGS[0]
    fill: str = FILLS[0]
    fit_hands: bool = True
    retarget: str = RETARGET_MODES[0]
    pose_fit: str = "loop"
    loop: bool = False
    segment_frames: int = 0
    denoise: float = 1.0
    apdh: APDHOptions = ORIGINAL
    speed: SpeedOptions = EXACT


@dataclass(frozen=True)
class Hands:
    """Where the hands come from: a pose, else gestures of a library that follow the voice; `none` leaves them out."""

    pose: HandPose | None = None
    library: GestureLibrary | None = None

    def of(self, voice: np.ndarray, frames: int, settings: ClipSettings) -> HandPose:
        if self.pose is not None:
            return self.pose
        library = self.library or built_in(settings.fps)
        return gestures_for(torch.from_numpy(voice), library, PlanSettings(seed=settings.seed), frames=frames)[0]


@torch.no_grad()
def clip(
    models: Models,
    picture: np.ndarray,
    voice: np.ndarray,
    pose: HandPose | None = None,
    settings: ClipSettings = ClipSettings(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    landmarks: Networks | None = None,
    hands: Hands | None = None,
    folder: Path | None = None,
) -> Iterator[np.ndarray]:
    """Frames (height, width, 3) uint8 of a person who speaks, as they are decoded.

    Parameters
    ----------
    picture : (H, W, 3) uint8. voice : (samples,) mono at 16 kHz, -1..1.
    pose : of the hands; None makes gestures that follow the voice, or those of `hands`.
    progress : called with (windows done, windows), of segments with (frames done, frames); may raise to cancel.
    landmarks : networks that find the person for `align`; by default those on the processor.
    folder : where segments are kept, if `settings` ask for them.

    Raises
    ------
    ValueError : sizes that are not multiples of 8, or a pose that cannot be used.
    """
    width, height = size_of(settings, models.size)
    frames = settings.frames or clip_frames(len(voice), AUDIO_SAMPLE_RATE, settings.fps)
    hands = hands or Hands(pose)
    run = "" if folder is None else fingerprint(models.name, picture, voice, hands, settings)
    pose = hands.of(voice, frames, settings)
    if settings.align:
        person = on_canvas(steady(climb(picture, landmarks or shared_networks())[0]), *picture.shape[1::-1])
        aligned = align(person, pose, width, height, settings.framing, settings.fit_hands, settings.retarget)
        picture, pose = warp_picture(picture, aligned.matrix, width, height, settings.fill), aligned.pose
    reference = reference_of(models, picture, height, width)
    more = {"folder": folder, "run": run, "progress": progress}
    for latents in sampled(models, reference, voice, pose, frames, settings, **more):
        if models.leads:
            yield from decoded(models, latents)


def sampled(
    models: Models,
    reference: ReferenceFeatures,
    voice: np.ndarray,
    pose: HandPose | None,
    frames: int,
    settings: ClipSettings,
    pin: Pin | None = None,
    folder: Path | None = None,
    run: str = "",
    progress: Progress | None = None,
) -> Iterator[torch.Tensor]:
    """The clip's latents (n, c, h, w), scaled by 0.18215: all together, or one segment after the other.

    run : name of all that decides the result, for segments: of what was given, so that it is the same on every machine.
    """
    audio = AudioTokens(encode(models.audio_encoder, voice), settings.fps, frames)
    conditions = assemble(reference, audio, pose, frames, settings.pose_fit, settings.apdh, settings.fps)
    config = SamplingConfig(settings.steps or models.variant.steps, settings.guidance or models.variant.guidance_scale)
    if not settings.segment_frames or folder is None:
        shape = (frames, reference.channels, reference.height, reference.width)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(settings.seed))
        more = {"wrap": settings.loop, "progress": progress, "pin": pin, "denoise": settings.denoise}
        more |= {"speed": settings.speed, "device": models.device, "team": models.team}
        yield sample(models.denoiser, conditions, noise, config, **more)
        return
    segments = plan_segments(frames, settings.segment_frames, HELD_FRAMES, settings.loop)
    ways = settings.speed.ways_on(torch.device(models.device), models.denoiser.dtype)
    store = SegmentStore(folder / run[:12], run, segments, ways)
    make = torch_sampler(
        *(models.denoiser, conditions, frames, settings.seed, config, models.device, settings.loop),
        *(pin, settings.denoise, replace(settings.speed, ways=store.ways), models.team),
    )
    for _, latents in run_segments(segments, store, make, progress, models.team):
        yield latents.to(models.device)


@torch.no_grad()
def decoded(models: Models, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Frames (height, width, 3) uint8 of scaled latents, a few decoded at a time."""
    for part in latents.split(FRAMES_AT_ONCE):
        pictures = models.vae.decode(part.to(models.device)).clamp(0, 1).permute(0, 2, 3, 1)
        yield from to_uint8(pictures.float().cpu())


def size_of(settings: ClipSettings, trained_at: int) -> tuple[int, int]:
    """Width and height of the video; ValueError if they are not multiples of 8."""
    width = settings.width or settings.height or trained_at
    height = settings.height or settings.width or trained_at
    if width % PIXELS_PER_LATENT or height % PIXELS_PER_LATENT:
        raise ValueError(f"{width}x{height} pixels are not multiples of {PIXELS_PER_LATENT}: choose other sides")
    return width, height


def reference_of(models: Models, picture: np.ndarray, height: int, width: int) -> ReferenceFeatures:
    """The picture as the reference U-Net sees it, with its latents."""
    latents = encoded(models, picture, height, width)
    tokens = models.reference_unet(latents.to(models.denoiser.dtype))
    height, width = latents.shape[-2:]
    return ReferenceFeatures(tokens, height, width, latents=latents / LATENT_SCALE, channels=latents.shape[1])


def encoded(models: Models, picture: np.ndarray, height: int, width: int) -> torch.Tensor:
    """Scaled latents (1, 4, h, w) of a picture (H, W, 3) uint8, cropped to the size."""
    seen = fit_picture(torch.from_numpy(picture.copy())[None].float() / 255, height, width, "crop")
    return models.vae.encode(seen.permute(0, 3, 1, 2).to(models.device))

"""ComfyUI's pictures, videos and latents as footage of the core: frames that are read again and never all held."""

from collections.abc import Iterator

import numpy as np
import torch
from comfy_api.latest import InputImpl

from ..echomimic_core.config import FPS
from ..echomimic_core.media.video import frame_rate, read_frames, to_uint8
from ..echomimic_core.pose.detect import between
from ..echomimic_core.scene.footage import Footage
from .images import uint8_frames
from .progress import until_cancelled
from .values import latent, shown
from .video import active_window, is_as_in_file, reader

FRAMES_PER_DECODE = 4


def timed_frames(source, source_fps: float) -> tuple[Iterator[tuple[float, np.ndarray]], float, float]:
    """(seconds, picture) of a VIDEO or IMAGE, one at a time; its length in seconds and frame rate, 0 if unknown."""
    if isinstance(source, InputImpl.VideoFromFile) and is_as_in_file(source):
        begin, length = active_window(source)
        file = source.get_stream_source()
        frames = between(until_cancelled(read_frames(file)), begin, length)
        return frames, length or _known(source.get_duration), _known(lambda: frame_rate(file))
    if hasattr(source, "get_components"):
        components = source.get_components()
        source, source_fps = components.images, float(components.frame_rate)
    frames = ((index / source_fps, picture) for index, picture in enumerate(uint8_frames(source)))
    return frames, len(source) / source_fps, source_fps


def footage_of(source, fps: float = FPS) -> Footage:
    """A VIDEO, an IMAGE (one picture is a still, several are a video of `fps`) as footage.

    A video of uneven frames is read at its mean rate.
    """
    if isinstance(source, InputImpl.VideoFromFile) and is_as_in_file(source):
        return _of_file(source)
    if hasattr(source, "get_components"):
        components = source.get_components()
        source, fps = components.images, float(components.frame_rate)
    if not isinstance(source, torch.Tensor) or source.ndim != 4:
        raise ValueError(f"the input is {shown(source)}, but it has to be a VIDEO or an IMAGE")
    still = len(source) == 1
    return Footage(
        lambda: until_cancelled(uint8_frames(source)),
        source.shape[2],
        source.shape[1],
        0.0 if still else fps,
        len(source),
    )


def clip_footage(clip, vae, upscale=None, fps: float = FPS) -> Footage:
    """What a sampler made as footage: a LATENT, which needs a VAE, an IMAGE or a VIDEO.

    upscale : a function on an IMAGE that makes it larger, or None.
    """
    if not isinstance(clip, dict):
        footage = footage_of(clip, fps)
        # A single picture is a clip of one frame here: it is not the background.
        footage = footage if footage.fps else Footage(footage.read, footage.width, footage.height, fps, 1)
        return footage if upscale is None else _upscaled(footage, upscale)
    clip = latent(clip, "clip")
    if vae is None:
        raise ValueError("a clip is a LATENT, but no VAE is connected: connect the vae of Load EchoMimicV2")
    samples = clip["samples"]
    if samples.ndim != 4:
        raise ValueError(f"a clip has latents of shape {tuple(samples.shape)}: use the output of EchoMimicV2 Sampler")

    def decoded(step: int = 1) -> Iterator[np.ndarray]:
        chosen = samples[::step]
        for start in until_cancelled(range(0, len(chosen), FRAMES_PER_DECODE)):
            pictures = vae.decode(chosen[start : start + FRAMES_PER_DECODE])
            yield from to_uint8(pictures if upscale is None else upscale(pictures))

    height, width = next(decoded(len(samples))).shape[:2]
    return Footage(decoded, width, height, float(clip.get("fps", fps)), len(samples), sparse=decoded)


def upscaler(model):
    """A function on an IMAGE (n, h, w, 3) that makes it larger by an UPSCALE_MODEL, as ComfyUI's own node does it."""
    if model is None:
        return None
    from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel

    return lambda images: ImageUpscaleWithModel.execute(model, images).args[0]


def _upscaled(footage: Footage, upscale) -> Footage:
    def read() -> Iterator[np.ndarray]:
        for picture in footage.read():
            yield to_uint8(upscale(torch.from_numpy(picture)[None].float() / 255))[0]

    height, width = next(read()).shape[:2]
    return Footage(read, width, height, footage.fps, footage.count)


def _of_file(video) -> Footage:
    file = video.get_stream_source()
    begin, length = active_window(video)
    rate = frame_rate(reader(file))

    def read() -> Iterator[np.ndarray]:
        frames = read_frames(reader(file), rate, exact=True)
        for _, picture in between(until_cancelled(frames), begin, length):
            yield picture

    first = next(read(), None)
    if first is None:
        raise ValueError("the video has no frames in the part that is used: check where it was trimmed")
    seconds = length or max(_known(video.get_duration), 1 / rate)
    return Footage(read, first.shape[1], first.shape[0], rate, max(round(seconds * rate), 1))


def _known(ask) -> float:
    """What a video says about itself, or 0 where its container does not tell: it is only for the progress."""
    try:
        return float(ask())
    except (TypeError, ValueError):
        return 0.0

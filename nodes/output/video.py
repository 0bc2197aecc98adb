"""The video: latents in, a video file with sound out, a few frames at a time."""

import os
from contextlib import ExitStack

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io

from ...bridge.footage import clip_footage
from ...bridge.reports import say, warn
from ...bridge.temp_video import temp_video
from ..types import schema

LATENT_DIMENSIONS = 4
PREVIEW_SIZE = 512
ALPHA = "ProRes 4444"
MATTES = ["none", "video", ALPHA, "both"]


class EchoMimicV2DecodeToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2DecodeToVideo",
            display_name="EchoMimicV2 Decode To Video",
            category="EchoMimicV2/sampling",
            description="Decodes the frames straight into a video file, so memory use does not grow with length. "
            "Connect the output to Save Video.",
            search="VAE decode, video combine, talking head, avatar, digital human, 解码, 合成视频, 数字人, 口播",
            inputs=[
                io.Latent.Input("samples", tooltip="The latent frames, from EchoMimicV2 Sampler."),
                io.Vae.Input(
                    "vae",
                    tooltip="The VAE from Load EchoMimicV2, or any SD 1.5 VAE: sd-vae-ft-mse, or a TAESD for a quick "
                    "preview.",
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The audio of the video: the audio output of Audio Embeds. It is trimmed, or padded with "
                    "silence, to the length of the video. Leave unconnected for a silent video.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames per second; 0 uses the rate the clip was generated at. At any other rate the "
                    "lips drift out of sync.",
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="Frames decoded at once. More is slightly faster and needs more memory; 1 needs the least.",
                ),
                io.Combo.Input(
                    "matte",
                    options=MATTES,
                    default=MATTES[0],
                    optional=True,
                    tooltip="For compositing. video: also a second video in which the person is white on black. ProRes "
                    "4444: also saves a .mov with an alpha channel to the output folder. both: both.",
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video"),
                io.Video.Output(
                    "matte_video", display_name="matte", tooltip="The person, white on black, if matte is on."
                ),
            ],
        )

    @classmethod
    def execute(cls, samples, vae, fps, frames_per_batch, audio=None, matte=MATTES[0]) -> io.NodeOutput:
        from ...echomimic_core.config import FPS

        latents = _frames_first(samples["samples"])
        channels = getattr(vae, "latent_channels", latents.shape[1])
        if channels != latents.shape[1]:
            raise ValueError(
                f"the VAE decodes latents of {channels} channels, but these have {latents.shape[1]}: "
                "use a Stable Diffusion 1.5 VAE such as sd-vae-ft-mse"
            )
        fps = fps or samples.get("fps", FPS)
        sound = (audio["waveform"], audio["sample_rate"]) if audio is not None else None
        video = temp_video(lambda path: write_video(path, latents, vae, fps, frames_per_batch, sound))
        person = None
        if matte != "none":
            clip = clip_footage({"samples": latents, "fps": fps}, vae)
            person = temp_video(lambda path: write_matte(path, clip, sound)) if matte != ALPHA else None
            if matte in (ALPHA, "both"):
                path = alpha_path(clip)
                write_matte(path, clip, sound, alpha=True)
                say(f"saved with alpha: {path}")
        return io.NodeOutput(video, person)


def alpha_path(clip) -> str:
    """A new .mov in ComfyUI's output folder, next to what Save Video writes."""
    name = "video/EchoMimicV2_alpha"
    size = (clip.width, clip.height)
    folder, name, counter, _, _ = folder_paths.get_save_image_path(name, folder_paths.get_output_directory(), *size)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{name}_{counter:05}_.mov")


def write_matte(path: str, clip, sound, alpha: bool = False) -> None:
    """Write the person of a clip, white on black (mp4, silent), or in colour with an alpha channel (ProRes 4444)."""
    import numpy as np

    from ...bridge.landmarks import landmark_networks
    from ...bridge.progress import cancellable_progress
    from ...echomimic_core.media.alpha import AlphaWriter
    from ...echomimic_core.media.video import VideoWriter
    from ...echomimic_core.scene.matte import person_matte

    networks, progress = landmark_networks(), cancellable_progress()
    size = (clip.width, clip.height)
    with AlphaWriter(path, clip.fps, *size, sound) if alpha else VideoWriter(path, clip.fps, *size) as writer:
        for index, picture in enumerate(clip.read()):
            shown = person_matte(picture, networks).mul(255).round().byte().numpy()[..., None]
            writer.write((np.concatenate([picture, shown], axis=-1) if alpha else shown.repeat(3, axis=-1))[None])
            progress(index + 1, clip.count)


def write_video(path: str, latents, vae, fps: float, frames_per_batch: int, sound) -> None:
    """Decode latents (frames, 4, h, w) into a video file, so many frames at a time, with progress and a preview.

    sound : (waveform, sample rate) or None.
    """
    from ...echomimic_core.media.video import VideoWriter, to_uint8

    total = len(latents)
    bar = comfy.utils.ProgressBar(total)
    with ExitStack() as stack:
        writer = broken = None
        for start in range(0, total, frames_per_batch):
            comfy.model_management.throw_exception_if_processing_interrupted()
            decoded = vae.decode(latents[start : start + frames_per_batch])
            if broken is None and not decoded.isfinite().all():
                broken = start
            pictures = to_uint8(decoded)
            if writer is None:
                height, width = pictures.shape[1:3]
                writer = stack.enter_context(VideoWriter(path, fps, width, height, sound))
            writer.write(pictures)
            bar.update_absolute(start + len(pictures), total, _preview(pictures[-1]))
    if broken is not None:
        warn(
            f"the VAE returned values that are not numbers from frame {broken} on, shown as black: start ComfyUI with "
            "--fp32-vae, or try another VAE"
        )


def _frames_first(latents):
    """Latents (frames, 4, h, w), also from a video latent (1, 4, frames, h, w)."""
    if latents.ndim == LATENT_DIMENSIONS + 1 and len(latents) == 1:
        latents = latents[0].movedim(1, 0)
    if latents.ndim != LATENT_DIMENSIONS or len(latents) == 0:
        raise ValueError(f"samples have shape {tuple(latents.shape)} instead of (frames, 4, height / 8, width / 8)")
    return latents


def _preview(picture):
    from PIL import Image

    return "JPEG", Image.fromarray(picture), PREVIEW_SIZE


NODES = [EchoMimicV2DecodeToVideo]

"""The video: latents in, a video file with sound out, a few frames at a time."""

from contextlib import ExitStack

import comfy.model_management
import comfy.utils
from comfy_api.latest import io

from ...bridge import matte as mattes
from ..types import schema

LATENT_DIMENSIONS = 4
PREVIEW_SIZE = 512


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
                    options=mattes.MATTES,
                    default=mattes.MATTES[0],
                    optional=True,
                    tooltip=mattes.TOOLTIP,
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
    def execute(cls, samples, vae, fps, frames_per_batch, audio=None, matte=mattes.MATTES[0]) -> io.NodeOutput:
        from ...bridge.footage import clip_footage
        from ...bridge.temp_video import temp_video
        from ...echomimic_core.config import FPS

        latents = _frames_first(samples["samples"])
        channels = getattr(vae, "latent_channels", latents.shape[1])
        if channels != latents.shape[1]:
            raise ValueError(
                f"the VAE decodes latents of {channels} channels, but these have {latents.shape[1]}: "
                "connect the vae of the Load EchoMimicV2 that the model comes from, or for 4 channels another Stable "
                "Diffusion 1.5 VAE such as sd-vae-ft-mse"
            )
        fps = fps or samples.get("fps", FPS)
        sound = (audio["waveform"], audio["sample_rate"]) if audio is not None else None
        video = temp_video(lambda path: write_video(path, latents, vae, fps, frames_per_batch, sound))
        person = None
        if matte != mattes.MATTES[0]:
            clip = clip_footage({"samples": latents, "fps": fps}, vae)
            size = (clip.width, clip.height)
            person = mattes.save_mattes(matte, lambda: with_mattes(clip), fps, size, clip.count, sound)
        return io.NodeOutput(video, person)


def with_mattes(clip):
    """Each picture of a clip with the matte of everybody in it."""
    from ...bridge.landmarks import landmark_networks
    from ...echomimic_core.scene.matte import matte_picture

    networks = landmark_networks()
    for picture in clip.read():
        yield picture, matte_picture(picture, networks)


def write_video(path: str, latents, vae, fps: float, frames_per_batch: int, sound) -> None:
    """Decode latents (frames, 4, h, w) into a video file, so many frames at a time, with progress and a preview.

    The next frames are decoded while the last ones are encoded.

    sound : (waveform, sample rate) or None.
    """
    from ...bridge.reports import warn
    from ...echomimic_core.media.video import VideoWriter, to_uint8
    from ...echomimic_core.workers.behind import Behind

    total = len(latents)
    bar = comfy.utils.ProgressBar(total)
    with ExitStack() as stack:
        write = broken = None
        for start in range(0, total, frames_per_batch):
            comfy.model_management.throw_exception_if_processing_interrupted()
            decoded = vae.decode(latents[start : start + frames_per_batch])
            if broken is None and not decoded.isfinite().all():
                broken = start
            if write is None:
                height, width = decoded.shape[1:3]
                writer = stack.enter_context(VideoWriter(path, fps, width, height, sound))
                write = stack.enter_context(Behind(writer.write))
            write(decoded)
            bar.update_absolute(start + len(decoded), total, _preview(to_uint8(decoded[-1])))
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

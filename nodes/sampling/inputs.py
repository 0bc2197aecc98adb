"""Inputs that several sampling nodes share."""

import comfy.samplers
from comfy_api.latest import io

from ...echomimic_core.choices import FIT_MODES
from ...echomimic_core.choices import ORIGINAL_SAMPLER as ORIGINAL
from ..types import APDH, AudioTokens, Crop, Pose, Reference


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        default=0,
        min=0,
        max=1000,
        tooltip="Denoising steps. 0 uses the right number for the loaded model: 30 for standard, 6 for accelerated.",
    )


def sampling_inputs(reference, audio_embeds, pose) -> list:
    """Inputs that the samplers share, in the order of the graph: what is sampled, and how."""
    return [
        io.Model.Input("model", tooltip="The MODEL from Load EchoMimicV2, optionally through LoRA or compile nodes."),
        reference,
        audio_embeds,
        pose,
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFFFFFFFFFF,
            control_after_generate=True,
            tooltip="The same seed gives the same clip.",
        ),
        steps_input(),
        io.Float.Input(
            "cfg",
            default=0.0,
            min=0.0,
            max=20.0,
            step=0.1,
            tooltip="How closely picture, voice and pose are followed. 0 uses the right value for the loaded model: "
            "2.5 for standard, 1 for accelerated. 1 is twice as fast as any higher value.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=[ORIGINAL, *comfy.samplers.SAMPLER_NAMES],
            default=ORIGINAL,
            tooltip="original is the paper's sampler (DDIM). The others are ComfyUI's, on the same noise schedule.",
        ),
    ]


def clip_inputs() -> list:
    """Inputs that the EchoMimicV2 Sampler and APDH Conditioning share: what conditions the clip."""
    return [
        Reference.Input("reference", tooltip="The picture from Reference Encode. It also sets the size of the video."),
        AudioTokens.Input("audio_embeds", tooltip="The voice from Audio Embeds. It also sets the length of the video."),
        Pose.Input(
            "pose",
            optional=True,
            tooltip="Hand poses of any length. If not connected, the hands rest in the built-in idle gesture.",
        ),
    ]


def length_inputs() -> list:
    return [
        io.Int.Input(
            "frames",
            default=0,
            min=0,
            max=1_000_000,
            tooltip="Frames to generate; 0 matches the length of the voice. A small number gives a quick preview.",
        ),
        io.Combo.Input(
            "pose_fit",
            options=list(FIT_MODES),
            default="loop",
            tooltip="What to do when the pose is shorter than the voice: loop repeats it, ping-pong plays it back "
            "and forth, hold freezes the last frame.",
        ),
    ]


def window_inputs() -> list:
    return [
        io.Int.Input(
            "context_frames",
            default=12,
            min=2,
            max=32,
            tooltip="Frames per window. 12 is as trained; more needs more memory.",
        ),
        io.Int.Input(
            "context_overlap",
            default=3,
            min=0,
            max=31,
            tooltip="Frames shared by neighbouring windows. More is smoother and slower; 0 is fastest.",
        ),
    ]


def windows_fit(cls, context_frames, context_overlap):
    """The `validate_inputs` of nodes with `window_inputs`: True, or the sentence that says what is wrong."""
    from ...echomimic_core.config import SamplingConfig

    try:
        SamplingConfig(context_frames=context_frames, context_overlap=context_overlap)
    except ValueError as error:
        return str(error)
    return True


LOOP_INPUT = io.Boolean.Input(
    "loop",
    default=True,
    optional=True,
    tooltip="The end of the clip leads back into its start, so it loops seamlessly, as in the original. Off: the end "
    "is independent of the start.",
)


APDH_INPUT = APDH.Input("apdh", optional=True, tooltip="From APDH Options. If not connected, everything is as trained.")


def pin_inputs() -> list:
    """Inputs of both samplers for a clip that keeps a part of its latents, or starts from others."""
    return [
        io.MultiType.Input(
            "pin",
            types=[io.Mask, Crop],
            optional=True,
            tooltip="Holds the background: outside this mask (white may change), or outside the person of a crop from "
            "Crop Person or Align Pose, the picture stays as it is and cannot drift or flicker.",
        ),
        io.Latent.Input(
            "latent",
            optional=True,
            tooltip="With pin: what is held outside the mask, frame by frame, in place of the reference picture. With "
            "denoise below 1: what the clip starts from. From Crop Person or VAE Encode.",
        ),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.05,
            max=1.0,
            step=0.01,
            optional=True,
            tooltip="Below 1 the clip starts from latent, or from the reference picture, and keeps more of it the "
            "lower this is. 1 generates everything that is not pinned.",
        ),
    ]

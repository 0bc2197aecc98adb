"""Inputs that several sampling nodes share."""

import comfy.samplers
from comfy_api.latest import io

from ...bridge.sampling import ORIGINAL
from ...echomimic_core.pose.edit import FIT_MODES
from ..types import APDH, AudioTokens, Pose, Reference


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        default=0,
        min=0,
        max=1000,
        tooltip="Denoising steps; 0 is right for the loaded model: 30 for standard, 6 for accelerated.",
    )


def sampling_inputs(reference, audio_embeds, pose) -> list:
    """Inputs that the samplers share, in the order of the graph: what is sampled, and how."""
    return [
        io.Model.Input("model", tooltip="The MODEL of Load EchoMimicV2, perhaps through LoRA or compile nodes."),
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
            tooltip="How strictly picture, voice and pose are followed; 0 is right for the loaded model: 2.5 "
            "for standard, 1 for accelerated. 1 is twice as fast as anything above.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=[ORIGINAL, *comfy.samplers.SAMPLER_NAMES],
            default=ORIGINAL,
            tooltip="original is the paper's own (DDIM). Others are ComfyUI's, on the same noise levels.",
        ),
    ]


def clip_inputs() -> list:
    """Inputs that the EchoMimicV2 Sampler and APDH Conditioning share: what conditions the clip."""
    return [
        Reference.Input("reference", tooltip="The picture from Reference Encode. It also sets the size of the video."),
        AudioTokens.Input("audio_embeds", tooltip="The voice from Audio Embeds. It sets the length of the video."),
        Pose.Input(
            "pose",
            optional=True,
            tooltip="Hand poses of any length. Without any the hands rest in the built-in idle gesture.",
        ),
    ]


def length_inputs() -> list:
    return [
        io.Int.Input(
            "frames",
            default=0,
            min=0,
            max=1_000_000,
            tooltip="Frames to make; 0 is as many as the voice lasts. A small number gives a quick look.",
        ),
        io.Combo.Input(
            "pose_fit",
            options=list(FIT_MODES),
            default="loop",
            tooltip="What happens when the pose is shorter than the voice: loop starts again, ping-pong goes back "
            "and forth without a jump, hold keeps the last pose.",
        ),
    ]


def window_inputs() -> list:
    return [
        io.Int.Input(
            "context_frames",
            default=12,
            min=2,
            max=32,
            tooltip="Frames the model sees at once. 12 is as trained; more takes more memory.",
        ),
        io.Int.Input(
            "context_overlap",
            default=3,
            min=0,
            max=31,
            tooltip="Frames that neighbouring windows share. More is smoother and slower; 0 is fastest.",
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
    tooltip="The end of the clip runs into its beginning, as in the original: it can be played in a loop. Off, the end "
    "is free of the beginning.",
)


APDH_INPUT = APDH.Input("apdh", optional=True, tooltip="From APDH Options; without it everything is as trained.")

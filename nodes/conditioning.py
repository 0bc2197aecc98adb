"""APDH Conditioning: voice, pose and picture as CONDITIONING for core's own samplers."""

from comfy_api.latest import io

from .types import APDH, AudioTokens, Pose, Reference

POSE_FITS = ["loop", "ping-pong", "hold"]
IDLE = "idle"


def clip_inputs() -> list:
    """Inputs that the APDH Sampler and APDH Conditioning share: what conditions the clip."""
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
            options=POSE_FITS,
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


LOOP_INPUT = io.Boolean.Input(
    "loop",
    default=True,
    optional=True,
    tooltip="The end of the clip runs into its beginning, as in the original: it can be played in a loop. Off, the end "
    "is free of the beginning.",
)

APDH_INPUT = APDH.Input("apdh", optional=True, tooltip="From APDH Options; without it everything is as trained.")


def make_payloads(reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop=True):
    """(payload of the conditional half, payload of the unconditional half) for a clip; ValueError for bad settings."""
    from ..echomimic_core.apdh import ORIGINAL
    from ..echomimic_core.config import SamplingConfig
    from ..echomimic_core.pose.gestures import clip
    from ..echomimic_core.sampling.assemble import assemble
    from ..echomimic_core.sampling.denoiser import WindowSettings
    from .comfy_model import ClipPayload

    SamplingConfig(context_frames=context_frames, context_overlap=context_overlap)
    frames = frames or len(audio_embeds)
    if pose is None:
        pose = clip(IDLE, frames, fps=audio_embeds.fps)
    conditions = assemble(reference, audio_embeds, pose, frames, pose_fit, apdh or ORIGINAL, audio_embeds.fps)
    windows = WindowSettings(context_frames, context_overlap, wrap=loop)
    size = (frames, reference.height, reference.width)
    return ClipPayload(conditions, *size, windows), ClipPayload(None, *size, windows)


def as_conditioning(payload) -> list:
    """A CONDITIONING that carries a payload; its text part is empty, the model does not read it."""
    import torch

    from .comfy_model import PAYLOAD

    return [[torch.zeros(1, 1, 1), {PAYLOAD: payload}]]


def empty_latent(payload, fps: float) -> dict:
    """An empty LATENT for the clip; it remembers the frame rate for Decode To Video."""
    import comfy.model_management
    import torch

    shape = (payload.frames, 4, payload.height, payload.width)
    return {"samples": torch.zeros(shape, device=comfy.model_management.intermediate_device()), "fps": fps}


class EchoMimicV2APDHConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="EchoMimicV2APDHConditioning",
            display_name="EchoMimicV2 APDH Conditioning",
            category="EchoMimicV2",
            description="The APDH Sampler's conditions for KSampler or SamplerCustomAdvanced.",
            inputs=[*clip_inputs(), *length_inputs(), *window_inputs(), APDH_INPUT, LOOP_INPUT],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(display_name="negative", tooltip="The half without picture, voice and pose."),
                io.Latent.Output(display_name="latent", tooltip="Empty, of the right length and size."),
            ],
        )

    @classmethod
    def execute(
        cls, reference, audio_embeds, frames, pose_fit, context_frames, context_overlap, pose=None, apdh=None, loop=True
    ) -> io.NodeOutput:
        positive, negative = make_payloads(
            reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop
        )
        return io.NodeOutput(
            as_conditioning(positive), as_conditioning(negative), empty_latent(positive, audio_embeds.fps)
        )


NODES = [EchoMimicV2APDHConditioning]

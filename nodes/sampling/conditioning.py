"""APDH Conditioning: voice, pose and picture as CONDITIONING for core's own samplers."""

from comfy_api.latest import io

from ..types import schema
from .inputs import APDH_INPUT, LOOP_INPUT, clip_inputs, length_inputs, window_inputs, windows_fit


def empty_latent(payload, fps: float) -> dict:
    """An empty LATENT for the clip; it remembers the frame rate for Decode To Video."""
    import comfy.model_management
    import torch

    shape = (payload.frames, payload.channels, payload.height, payload.width)
    return {"samples": torch.zeros(shape, device=comfy.model_management.intermediate_device()), "fps": fps}


class EchoMimicV2APDHConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2APDHConditioning",
            display_name="EchoMimicV2 APDH Conditioning",
            category="EchoMimicV2/sampling",
            description="The conditioning of EchoMimicV2 Sampler, for KSampler or SamplerCustomAdvanced.",
            search="APDH, conditioning, KSampler, lip sync, 条件, 对口型",
            inputs=[*clip_inputs(), *length_inputs(), *window_inputs(), APDH_INPUT, LOOP_INPUT],
            outputs=[
                io.Conditioning.Output(display_name="positive"),
                io.Conditioning.Output(
                    display_name="negative", tooltip="Unconditional: without picture, voice and pose."
                ),
                io.Latent.Output(display_name="latent", tooltip="An empty latent of the right length and size."),
            ],
        )

    validate_inputs = classmethod(windows_fit)

    @classmethod
    def execute(
        cls, reference, audio_embeds, frames, pose_fit, context_frames, context_overlap, pose=None, apdh=None, loop=True
    ) -> io.NodeOutput:
        from ...bridge.payload import as_conditioning, make_payload

        payload = make_payload(
            reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop
        )
        return io.NodeOutput(
            as_conditioning(payload),
            as_conditioning(payload.unconditional()),
            empty_latent(payload, audio_embeds.fps),
        )


NODES = [EchoMimicV2APDHConditioning]

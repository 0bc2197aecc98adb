"""The sampler, a thin node over comfy.samplers with the original's schedule, and that schedule for ComfyUI's nodes."""

from comfy_api.latest import io

from ..types import schema
from .inputs import (
    APDH_INPUT,
    LOOP_INPUT,
    clip_inputs,
    length_inputs,
    pin_inputs,
    sampling_inputs,
    steps_input,
    window_inputs,
    windows_fit,
)


class EchoMimicV2Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        reference, audio_embeds, pose = clip_inputs()
        return schema(
            node_id="EchoMimicV2Sampler",
            display_name="EchoMimicV2 Sampler (APDH)",
            category="EchoMimicV2/sampling",
            description="Generates the clip: picture, voice and hand poses to latents.",
            search="APDH, KSampler, talking head, talking photo, avatar, digital human, lip sync, speech to video, "
            "audio driven, portrait animation, 数字人, 口播, 对口型, 说话的照片, gesture, 手势, 语音驱动",
            inputs=[
                *sampling_inputs(reference, audio_embeds, pose),
                *length_inputs(),
                *window_inputs(),
                APDH_INPUT,
                LOOP_INPUT,
                *pin_inputs(),
            ],
            outputs=[io.Latent.Output(tooltip="For Decode To Video (any length) or VAE Decode (short clips).")],
        )

    validate_inputs = classmethod(windows_fit)

    @classmethod
    def execute(
        cls,
        model,
        reference,
        audio_embeds,
        seed,
        steps,
        cfg,
        sampler_name,
        frames,
        pose_fit,
        context_frames,
        context_overlap,
        pose=None,
        apdh=None,
        loop=True,
        pin=None,
        latent=None,
        denoise=1.0,
    ) -> io.NodeOutput:
        import comfy.model_management

        from ...bridge.model import require_echomimic
        from ...bridge.payload import make_payload
        from ...bridge.pins import make_pin, posed
        from ...bridge.sampling import SamplerSettings, sample_clip

        variant = require_echomimic(model, "EchoMimicV2 Sampler").variant
        payload = make_payload(
            reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop
        )
        settings = SamplerSettings(seed, steps or variant.steps, cfg or variant.guidance_scale, sampler_name, denoise)
        held = make_pin(reference, pin, latent, denoise, payload.frames, posed(pose, pose_fit, apdh))
        latents, mask = (None, None) if held is None else held.part(list(range(payload.frames)))
        samples = sample_clip(model, payload, settings, latents=latents, mask=mask).to(
            comfy.model_management.intermediate_device()
        )
        return io.NodeOutput({"samples": samples, "fps": audio_embeds.fps})


class EchoMimicV2Scheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2Scheduler",
            display_name="EchoMimicV2 Scheduler",
            category="EchoMimicV2/sampling",
            description="The original's noise schedule and sampler, for SamplerCustomAdvanced.",
            search="sigmas, DDIM, noise schedule, 调度器, 噪声",
            inputs=[io.Model.Input("model", tooltip="Sets the number of steps when steps is 0."), steps_input()],
            outputs=[
                io.Sigmas.Output(
                    display_name="sigmas",
                    tooltip="The exact trailing schedule; ComfyUI's own schedules differ slightly.",
                ),
                io.Sampler.Output(
                    display_name="sampler",
                    tooltip="The original's DDIM. Where the number of steps does not divide 1000 it lands between "
                    "the noise levels, as the original does; apart from that it equals euler.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model, steps) -> io.NodeOutput:
        from ...bridge.model import require_echomimic
        from ...bridge.sampling import original_sampler
        from ...echomimic_core.sampling.schedule import trailing_sigmas

        steps = steps or require_echomimic(model, "EchoMimicV2 Scheduler").variant.steps
        return io.NodeOutput(trailing_sigmas(steps, end_at_zero=False), original_sampler(steps))


NODES = [EchoMimicV2Sampler, EchoMimicV2Scheduler]

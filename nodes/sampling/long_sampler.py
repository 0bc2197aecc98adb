"""Long Sampler: clips of any length, in segments on disk, resuming after a crash or a cancel."""

import logging
import os

from comfy_api.latest import io

from ..types import schema
from .inputs import APDH_INPUT, clip_inputs, length_inputs, pin_inputs, sampling_inputs, window_inputs, windows_fit

FOLDER = "EchoMimicV2_segments"


class EchoMimicV2LongSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        reference, audio_embeds, pose = clip_inputs()
        return schema(
            node_id="EchoMimicV2LongSampler",
            display_name="EchoMimicV2 Long Sampler (APDH)",
            category="EchoMimicV2/sampling",
            description="EchoMimicV2 Sampler for long clips: needs the memory of one segment only, saves every "
            "finished segment to disk, and resumes an interrupted run when queued again.",
            search="APDH, KSampler, long video, low VRAM, resume, talking head, talking photo, avatar, "
            "digital human, lip sync, speech to video, audio driven, portrait animation, 数字人, 口播, "
            "对口型, 说话的照片, gesture, 长视频, 断点续跑, 语音驱动",
            inputs=[
                *sampling_inputs(reference, audio_embeds, pose),
                *length_inputs(),
                *window_inputs(),
                io.Int.Input(
                    "segment_frames",
                    default=240,
                    min=8,
                    max=10_000,
                    tooltip="Frames per segment; 240 is ten seconds. Fewer need less memory and lose less on "
                    "interruption; more give fewer seams.",
                ),
                io.Int.Input(
                    "held_frames",
                    default=12,
                    min=1,
                    max=64,
                    tooltip="Frames of the previous segment that lead into the next. More is smoother and slightly "
                    "slower.",
                ),
                io.Boolean.Input(
                    "loop",
                    default=False,
                    tooltip="The end of the clip leads back into its start, so it loops seamlessly.",
                ),
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="Folder for the segments, inside ComfyUI's output folder. Leave empty to derive it from "
                    "the inputs, so re-queuing the same graph resumes.",
                ),
                APDH_INPUT,
                *pin_inputs(),
            ],
            outputs=[io.Latent.Output(tooltip="The whole clip, for Decode To Video.")],
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
        segment_frames,
        held_frames,
        loop,
        folder,
        pose=None,
        apdh=None,
        pin=None,
        latent=None,
        denoise=1.0,
    ) -> io.NodeOutput:
        from dataclasses import replace

        import torch

        from ...bridge.model import require_echomimic
        from ...bridge.payload import SPEED, make_payload
        from ...bridge.pins import make_pin, posed
        from ...bridge.progress import cancellable_progress
        from ...bridge.sampling import SamplerSettings
        from ...bridge.segments import model_fingerprint, segment_sampler
        from ...echomimic_core.sampling.segments import SegmentStore, fingerprint, plan_segments, run_segments
        from ...echomimic_core.sampling.speed import EXACT

        inner = require_echomimic(model, "EchoMimicV2 Long Sampler")
        variant, speed = inner.variant, model.model_options["transformer_options"].get(SPEED)
        steps, cfg = steps or variant.steps, cfg or variant.guidance_scale
        # Wrapping windows only where one segment is the whole clip
        payload = make_payload(
            reference, audio_embeds, pose, frames, pose_fit, context_frames, context_overlap, apdh, loop
        )
        held = make_pin(reference, pin, latent, denoise, payload.frames, posed(pose, pose_fit, apdh))
        segments = plan_segments(payload.frames, segment_frames, held_frames, loop)
        run = fingerprint(
            *(model_fingerprint(model), reference.tokens, reference.height, reference.width, reference.fit),
            *(audio_embeds, pose, apdh, payload.frames, pose_fit, context_frames, context_overlap),
            *(seed, steps, cfg, sampler_name, segment_frames, held_frames, loop),
            speed,
            # Only where there is one: runs of earlier versions are resumed.
            *(() if held is None else (held, denoise)),
        )
        path = segment_folder(folder or run[:16])
        speed = speed or EXACT
        store = SegmentStore(path, run, segments, speed.ways_on(model.load_device, inner.compute_dtype()))
        model = model.clone()
        model.model_options["transformer_options"][SPEED] = replace(speed, ways=store.ways)
        logging.info("EchoMimicV2: %d segments of %d frames in %s", len(segments), segment_frames, path)
        settings = SamplerSettings(seed, steps, cfg, sampler_name, denoise)
        sample_segment = segment_sampler(model, payload, settings, wrap=len(segments) == 1 and loop, pin=held)
        progress = cancellable_progress()
        latents = None
        for segment, values in run_segments(segments, store, sample_segment, progress):
            if latents is None:
                latents = torch.empty(payload.frames, *values.shape[1:])
            latents[segment.first : segment.last] = values
            progress(segment.last, payload.frames)
        return io.NodeOutput({"samples": latents, "fps": audio_embeds.fps})


def segment_folder(name: str) -> str:
    """Folder of that name in ComfyUI's output folder; ValueError for a name that leads out of it."""
    import folder_paths

    from ...echomimic_core.files.durable import check_name

    root = os.path.join(folder_paths.get_output_directory(), FOLDER)
    for part in name.replace("\\", "/").split("/"):
        if part != "..":
            check_name(part)
    path = os.path.abspath(os.path.join(root, name))
    if os.path.commonpath([os.path.abspath(root), path]) != os.path.abspath(root) or path == os.path.abspath(root):
        raise ValueError(f"the folder {name!r} points outside {root}: use a plain name")
    return path


NODES = [EchoMimicV2LongSampler]

"""How good is a clip? The evaluation's numbers and curves in the graph."""

from pathlib import Path

import comfy.model_management
import torch
from comfy_api.latest import InputImpl, io, ui

from ..types import schema

ALL = "all"
# Room on the GPU for the largest of the feature networks with a batch of frames.
NETWORK_BYTES = 2 << 30


class EchoMimicV2Evaluate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2Evaluate",
            display_name="EchoMimicV2 Evaluate",
            category="EchoMimicV2/evaluation",
            description="Measures the quality of a clip, with scores and curves over time that show where it fails. "
            "If a metric needs a network that is not installed, the report says where to get it.",
            search="metrics, quality, lip sync score, FID, FVD, SSIM, PSNR, CSIM, 评估, 指标, 质量, 对口型",
            is_output_node=True,
            inputs=[
                io.Video.Input(
                    "video", tooltip="The clip to evaluate, with audio: from Decode To Video or Load Video."
                ),
                io.MultiType.Input(
                    "reference",
                    types=[io.Video, io.Image],
                    optional=True,
                    tooltip="The reference picture, for likeness (CSIM); or the ground-truth video of the same "
                    "scene, for PSNR, SSIM, LPIPS, FID, FVD and E-FID. Without it, only hands, face and lip sync are "
                    "measured.",
                ),
                io.String.Input(
                    "metrics",
                    default=ALL,
                    tooltip="all, or comma-separated names such as HKC, Sync, PSNR. Fewer are faster: hands take "
                    "about a twentieth of a second per frame, FID and FVD longer without a GPU.",
                ),
            ],
            outputs=[
                io.String.Output("report", display_name="report", tooltip="The scores as text, with remarks."),
                io.Image.Output(
                    "curves", display_name="curves", tooltip="Curves over time; rose marks where it fails."
                ),
                io.String.Output("scores", display_name="scores", tooltip="Scores and curves as JSON, for scripts."),
                io.Image.Output(
                    "table",
                    display_name="table",
                    tooltip="Scores as a picture, with what is missing and where to get it.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, metrics):
        try:
            chosen_metrics(metrics)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, video, metrics=ALL, reference=None) -> io.NodeOutput:
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.evaluation import report
        from ...echomimic_core.evaluation.evaluate import evaluate
        from ...echomimic_core.evaluation.report import curves, picture
        from ...echomimic_core.networks import local

        chosen = chosen_metrics(metrics)
        clip = _clip(video, "video")
        try:
            evaluation = evaluate(
                [clip],
                [_clip(reference, "reference", clip.fps())] if reference is not None else None,
                chosen,
                _settings(),
                progress=cancellable_progress(),
            )
        finally:
            # Feature networks are used once in a while: their memory belongs to the models.
            local.load.cache_clear()
            comfy.model_management.soft_empty_cache()
        text = report.as_text(evaluation)
        table, drawn = _image(picture.table(evaluation)), _image(curves.draw(evaluation.clips[0]))
        say(text)
        # Each has its own size, and images of a batch have one.
        both = [ui.PreviewImage(image, cls=cls).as_dict()["images"] for image in (table, drawn)]
        shown = ui.PreviewText(text).as_dict() | {"images": [*both[0], *both[1]]}
        return io.NodeOutput(text, drawn, report.as_json(evaluation), table, ui=shown)


def _image(picture) -> torch.Tensor:
    """A picture (H, W, 3) uint8 as an IMAGE."""
    return torch.from_numpy(picture.copy())[None].float() / 255


def chosen_metrics(metrics: str) -> list | None:
    """Metrics by names with commas between; None is all of them. ValueError for a name that is none."""
    from ...echomimic_core.evaluation.metrics.registry import choose

    names = [name for name in metrics.split(",") if name.strip()]
    return None if not names or [name.strip().lower() for name in names] == [ALL] else choose(names)


def _settings():
    """Networks from `metrics` in the model folders of the pack, on the device that ComfyUI chooses."""
    from ...bridge.folders import model_folders
    from ...echomimic_core.evaluation.settings import Settings

    def folders(name: str) -> list[Path]:
        return [Path(folder) for folder in model_folders(name)]

    device = comfy.model_management.get_torch_device()
    settings = Settings(
        folders=tuple(folder / "metrics" for folder in folders("echomimic")),
        mediapipe=tuple(folders("mediapipe")),
        device=str(device),
    )
    if any(settings.find(name) for name in ("inception", "i3d", "lpips", "syncnet", "arcface", "deep3d", "dwpose")):
        comfy.model_management.free_memory(NETWORK_BYTES, device)
    return settings


def _clip(value, name: str, fps: float = 1.0):
    """A VIDEO, or an IMAGE: a single one is a picture, a batch is the frames of a video at `fps`."""
    from ...bridge.graph_video import GraphVideo
    from ...bridge.video import active_window, is_as_in_file
    from ...echomimic_core.evaluation.clips import Clip

    if isinstance(value, InputImpl.VideoFromFile) and is_as_in_file(value):
        begin, duration = active_window(value)
        return GraphVideo(name, "video", source=value.get_stream_source(), begin=begin, duration=duration)
    if hasattr(value, "get_components"):
        parts = value.get_components()
        sound = (parts.audio["waveform"], parts.audio["sample_rate"]) if parts.audio else None
        return Clip(name, "video", pictures=parts.images, rate=float(parts.frame_rate), sound=sound)
    if len(value) == 1:
        return Clip(name, "picture", pictures=value)
    return Clip(name, "video", pictures=value, rate=fps)


NODES = [EchoMimicV2Evaluate]

"""Gesture Library: gestures that need no driving video."""

from comfy_api.latest import io, ui

from ...bridge.images import to_images
from ...echomimic_core.config import FPS
from ...echomimic_core.pose import gestures
from .. import types

THUMBNAIL_FRAMES = 8


class EchoMimicV2PoseLibrary(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PoseLibrary",
            display_name="EchoMimicV2 Gesture Library",
            category="EchoMimicV2/pose",
            description="Built-in gestures of any length, whose end leads back to their beginning without a jump.",
            search="pose library, pose presets, gesture, hand gestures, waving, motion, 手势, 手势库, 姿态库, "
            "姿势, 动作",
            inputs=[
                io.Combo.Input(
                    "gesture",
                    options=gestures.names(),
                    default=gestures.names()[0],
                    tooltip="What the hands do. Put several behind each other with Blend Poses; mirror gives the other "
                    "hand's version.",
                ),
                io.Int.Input(
                    "frames",
                    default=120,
                    min=1,
                    max=100_000,
                    tooltip="Length of the clip: link the frames of Audio Embeds to make it as long as the voice. A "
                    "long clip repeats the gesture; one too short for it (2 to 4 seconds) shows its main part.",
                ),
                io.Float.Input("fps", default=FPS, min=1.0, max=120.0, step=0.001, tooltip="Frames a second."),
                io.Boolean.Input("mirror", default=False, tooltip="Right and left hand exchange their parts."),
                io.Float.Input(
                    "energy",
                    default=1.0,
                    min=0.0,
                    max=1.5,
                    step=0.05,
                    tooltip="How far the hands travel: less for a calm speaker, more for a lively one.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    control_after_generate=False,
                    tooltip="Of the small involuntary movements, so that no two clips are quite the same.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose", display_name="pose"),
                io.Image.Output("thumbnail", display_name="thumbnail"),
            ],
        )

    @classmethod
    def execute(cls, gesture, frames, fps, mirror, energy, seed) -> io.NodeOutput:
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.pose import edit, gestures, preview
        from ...echomimic_core.pose.leaving import leaving

        progress = cancellable_progress()
        pose = gestures.clip(gesture, frames, fps, energy, seed, progress)
        pose = edit.mirror(pose, progress) if mirror else pose
        say("\n".join(leaving(pose)) or "The hands stay in the picture.")
        thumbnail = to_images(preview.pose_sheet(pose, THUMBNAIL_FRAMES)[None])
        return io.NodeOutput(pose, thumbnail, ui=ui.PreviewImage(thumbnail, cls=cls))


NODES = [EchoMimicV2PoseLibrary]

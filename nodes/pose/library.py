"""Gesture Library: gestures that need no driving video."""

from comfy_api.latest import io, ui

from .. import types
from .inputs import fps_input

THUMBNAIL_FRAMES = 8


class EchoMimicV2PoseLibrary(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...echomimic_core.pose import gestures

        return types.schema(
            node_id="EchoMimicV2PoseLibrary",
            display_name="EchoMimicV2 Gesture Library",
            category="EchoMimicV2/pose",
            description="Built-in gestures of any length that loop seamlessly.",
            search="pose library, pose presets, gesture, hand gestures, waving, motion, 手势, 手势库, 姿态库, "
            "姿势, 动作",
            inputs=[
                io.Combo.Input(
                    "gesture",
                    options=gestures.names(),
                    default=gestures.names()[0],
                    tooltip="The gesture. Chain several with Blend Poses; mirror swaps the hands.",
                ),
                io.Int.Input(
                    "frames",
                    default=120,
                    min=1,
                    max=100_000,
                    tooltip="Length of the clip: connect the frames output of Audio Embeds to match the voice. A "
                    "long clip repeats the gesture; one too short for it (2 to 4 seconds) shows its main part.",
                ),
                fps_input(),
                io.Boolean.Input("mirror", default=False, tooltip="Swaps the right and left hands."),
                io.Float.Input(
                    "energy",
                    default=1.0,
                    min=0.0,
                    max=1.5,
                    step=0.05,
                    tooltip="How far the hands move: lower for a calm speaker, higher for a lively one.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    control_after_generate=False,
                    tooltip="Varies the small involuntary movements, so no two clips are exactly alike.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose", display_name="pose"),
                io.Image.Output("thumbnail", display_name="thumbnail"),
            ],
        )

    @classmethod
    def execute(cls, gesture, frames, fps, mirror, energy, seed) -> io.NodeOutput:
        from ...bridge.images import to_images
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

"""Edit Pose and Blend Poses."""

from comfy_api.latest import io

from ...echomimic_core.pose.edit import FIT_MODES, PIVOTS
from .. import types

MAX_FRAMES = 100_000
LENGTHENING = [*FIT_MODES, "retime"]


class EchoMimicV2EditPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2EditPose",
            display_name="EchoMimicV2 Edit Pose",
            category="EchoMimicV2/pose",
            description="Changes a pose, in this order from top to bottom. As it stands it changes nothing.",
            search="trim pose, smooth, retime, mirror, loop, gesture, mocap, 编辑姿态, 姿势, 平滑, 镜像, 手势",
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to change."),
                io.Int.Input(
                    "start_frame", default=0, min=0, max=MAX_FRAMES, tooltip="Frames to cut off at the beginning."
                ),
                io.Int.Input(
                    "frames", default=0, min=0, max=MAX_FRAMES, tooltip="Frames to take from there; 0 takes all."
                ),
                io.Combo.Input(
                    "mute",
                    options=["none", "left", "right", "both"],
                    default="none",
                    tooltip="A hand (the person's) to leave out: the model then invents it.",
                ),
                io.Boolean.Input(
                    "mirror", default=False, tooltip="As in a mirror: what the left hand did, the right hand does."
                ),
                io.Float.Input(
                    "move_x",
                    default=0.0,
                    min=-2.0,
                    max=2.0,
                    step=0.005,
                    tooltip="To the right, in widths of the frame.",
                ),
                io.Float.Input(
                    "move_y", default=0.0, min=-2.0, max=2.0, step=0.005, tooltip="Down, in heights of the frame."
                ),
                io.Float.Input("scale", default=1.0, min=0.05, max=10.0, step=0.01, tooltip="1.1 is a tenth larger."),
                io.Float.Input("rotate", default=0.0, min=-180.0, max=180.0, step=0.5, tooltip="Degrees, clockwise."),
                io.Combo.Input(
                    "pivot",
                    options=list(PIVOTS),
                    default="frame",
                    tooltip="What stays in place under scale and rotate: the middle of the frame, the person's neck, "
                    "or each hand's wrist (then only the hands change).",
                ),
                io.Float.Input(
                    "smooth",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Steadier hands without lag. Too much makes quick gestures small.",
                ),
                io.Float.Input(
                    "speed_limit",
                    default=0.0,
                    min=0.0,
                    max=20.0,
                    step=0.05,
                    tooltip="Hands travel no faster than so many frame heights a second; tames gestures that the model "
                    "smears. 0 sets no limit.",
                ),
                io.Boolean.Input(
                    "full_brightness",
                    default=False,
                    tooltip="Draws unsure points as bright as sure ones, so that the model follows them as strictly.",
                ),
                io.Int.Input(
                    "seam",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Frames over which the end runs into the beginning, so that loop shows no jump. The clip "
                    "gets shorter by as many.",
                ),
                io.Int.Input(
                    "length",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Frames of the result; 0 leaves the length as it is.",
                ),
                io.Combo.Input(
                    "lengthen",
                    options=LENGTHENING,
                    default="loop",
                    tooltip="How that length is reached: loop starts again, ping-pong goes back and forth, hold stays "
                    "on the last frame, retime plays the whole slower or faster.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose_out", display_name="pose"),
                io.Int.Output("length_out", display_name="frames"),
            ],
        )

    @classmethod
    def execute(
        cls,
        pose,
        start_frame,
        frames,
        mute,
        mirror,
        move_x,
        move_y,
        scale,
        rotate,
        pivot,
        smooth,
        speed_limit,
        full_brightness,
        seam,
        length,
        lengthen,
    ) -> io.NodeOutput:
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.pose import edit
        from ...echomimic_core.pose.leaving import leaving

        progress = cancellable_progress()
        pose = edit.mute(edit.trim(pose, start_frame, frames), mute)
        pose = edit.mirror(pose, progress) if mirror else pose
        pose = edit.transform(pose, move_x, move_y, scale, rotate, pivot, progress)
        pose = edit.limit_speed(edit.smooth(pose, smooth, progress), speed_limit, progress)
        pose = edit.full_brightness(pose) if full_brightness else pose
        pose = edit.close_loop(pose, seam)
        if length and lengthen == "retime":
            pose = edit.retime(pose, length, progress)
        elif length:
            pose = edit.fit_length(pose, length, lengthen)
        say("\n".join([f"{len(pose)} frames", *leaving(pose)]))
        return io.NodeOutput(pose, len(pose))


class EchoMimicV2BlendPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2BlendPose",
            display_name="EchoMimicV2 Blend Poses",
            category="EchoMimicV2/pose",
            description="Puts one pose behind another, with a soft passage between them. Chain it for more.",
            search="concat poses, join, append, transition, gesture, mocap, 拼接, 过渡, 姿态, 姿势, 手势",
            inputs=[
                types.Pose.Input("first", tooltip="The pose that begins."),
                types.Pose.Input(
                    "second", tooltip="The pose that follows, brought to the size and frame rate of the first."
                ),
                io.Int.Input(
                    "transition",
                    default=12,
                    min=0,
                    max=1000,
                    tooltip="Frames in which the first passes into the second; both overlap there. 0 is a hard cut.",
                ),
            ],
            outputs=[types.Pose.Output("pose", display_name="pose")],
        )

    @classmethod
    def execute(cls, first, second, transition) -> io.NodeOutput:
        from ...echomimic_core.pose import edit

        return io.NodeOutput(edit.blend(first, second, transition))


NODES = [EchoMimicV2EditPose, EchoMimicV2BlendPose]

"""Edit Pose and Blend Poses."""

from comfy_api.latest import io

from ...echomimic_core.choices import FIT_MODES, PIVOTS
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
            description="Edits a pose, in order from top to bottom. The defaults change nothing.",
            search="trim pose, smooth, retime, mirror, loop, gesture, mocap, 编辑姿态, 姿势, 平滑, 镜像, 手势",
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to edit."),
                io.Int.Input("start_frame", default=0, min=0, max=MAX_FRAMES, tooltip="Frames to trim from the start."),
                io.Int.Input(
                    "frames", default=0, min=0, max=MAX_FRAMES, tooltip="Frames to keep from there; 0 keeps all."
                ),
                io.Combo.Input(
                    "mute",
                    options=["none", "left", "right", "both"],
                    default="none",
                    tooltip="The hand to remove (the person's left or right): the model then invents it.",
                ),
                io.Boolean.Input("mirror", default=False, tooltip="Mirrors the pose: left and right hands swap."),
                io.Float.Input(
                    "move_x",
                    default=0.0,
                    min=-2.0,
                    max=2.0,
                    step=0.005,
                    tooltip="Horizontal shift to the right, in frame widths.",
                ),
                io.Float.Input(
                    "move_y",
                    default=0.0,
                    min=-2.0,
                    max=2.0,
                    step=0.005,
                    tooltip="Vertical shift down, in frame heights.",
                ),
                io.Float.Input("scale", default=1.0, min=0.05, max=10.0, step=0.01, tooltip="1.1 is 10 % larger."),
                io.Float.Input(
                    "rotate", default=0.0, min=-180.0, max=180.0, step=0.5, tooltip="Rotation in degrees, clockwise."
                ),
                io.Combo.Input(
                    "pivot",
                    options=list(PIVOTS),
                    default="frame",
                    tooltip="The fixed point of scale and rotate: the middle of the frame, the person's neck, or "
                    "each hand's wrist (then only the hands change).",
                ),
                io.Float.Input(
                    "smooth",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Smooths the hands without lag. Too much flattens quick gestures.",
                ),
                io.Float.Input(
                    "speed_limit",
                    default=0.0,
                    min=0.0,
                    max=20.0,
                    step=0.05,
                    tooltip="Maximum hand speed in frame heights per second. Slows down gestures that the model "
                    "would smear. 0 sets no limit.",
                ),
                io.Boolean.Input(
                    "full_brightness",
                    default=False,
                    tooltip="Draws uncertain points at full brightness, so the model follows them as closely as "
                    "certain ones.",
                ),
                io.Int.Input(
                    "seam",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Frames over which the end is blended into the start, so the clip loops seamlessly. "
                    "Shortens the clip by the same number.",
                ),
                io.Int.Input(
                    "length",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Length of the result in frames; 0 leaves it unchanged.",
                ),
                io.Combo.Input(
                    "lengthen",
                    options=LENGTHENING,
                    default="loop",
                    tooltip="How to reach that length: loop repeats the clip, ping-pong plays it back and forth, "
                    "hold freezes the last frame, retime slows it down or speeds it up.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose_out", display_name="pose"),
                io.Int.Output(
                    "length_out",
                    display_name="frames",
                    tooltip="Length of the result. Do not bypass this node while this is connected: ComfyUI would send "
                    "start_frame instead. With default settings the node changes nothing.",
                ),
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
        from ...bridge.progress import cancellable_progress, until_cancelled
        from ...bridge.reports import say
        from ...echomimic_core.pose import edit
        from ...echomimic_core.pose.leaving import leaving

        progress = cancellable_progress()

        def reach(pose):
            if lengthen == "retime":
                return edit.retime(pose, length, progress)
            return edit.fit_length(pose, length, lengthen)

        changes = [
            lambda pose: edit.mute(edit.trim(pose, start_frame, frames), mute),
            lambda pose: edit.mirror(pose, progress) if mirror else pose,
            lambda pose: edit.transform(pose, move_x, move_y, scale, rotate, pivot, progress),
            lambda pose: edit.smooth(pose, smooth, progress),
            lambda pose: edit.limit_speed(pose, speed_limit, progress),
            lambda pose: edit.full_brightness(pose) if full_brightness else pose,
            lambda pose: edit.close_loop(pose, seam),
            lambda pose: reach(pose) if length else pose,
        ]
        for change in until_cancelled(changes):
            pose = change(pose)
        say("\n".join([f"{len(pose)} frames", *leaving(pose)]))
        return io.NodeOutput(pose, len(pose))


class EchoMimicV2BlendPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2BlendPose",
            display_name="EchoMimicV2 Blend Poses",
            category="EchoMimicV2/pose",
            description="Appends one pose to another with a smooth transition. Chain several for more.",
            search="concat poses, join, append, transition, gesture, mocap, 拼接, 过渡, 姿态, 姿势, 手势",
            inputs=[
                types.Pose.Input("first", tooltip="The first pose."),
                types.Pose.Input(
                    "second", tooltip="The second pose, converted to the size and frame rate of the first."
                ),
                io.Int.Input(
                    "transition",
                    default=12,
                    min=0,
                    max=1000,
                    tooltip="Overlap in frames, in which the first pose turns into the second. 0 is a hard cut.",
                ),
            ],
            outputs=[types.Pose.Output("pose", display_name="pose")],
        )

    @classmethod
    def execute(cls, first, second, transition) -> io.NodeOutput:
        from ...echomimic_core.pose import edit

        return io.NodeOutput(edit.blend(first, second, transition))


NODES = [EchoMimicV2EditPose, EchoMimicV2BlendPose]

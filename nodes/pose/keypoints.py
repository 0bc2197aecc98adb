"""POSE_KEYPOINT of other packs, in and out."""

from comfy_api.latest import io

from ...echomimic_core.config import FPS
from .. import types

# OpenPose-like keypoints, as core's and other packs' detectors pass them on.
PoseKeypoint = io.Custom("POSE_KEYPOINT")


class EchoMimicV2PoseFromKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PoseFromKeypoints",
            display_name="EchoMimicV2 Pose From Keypoints",
            category="EchoMimicV2/pose",
            description="Takes the keypoints of another detector or editor (DWPose, SDPose, OpenPose) as a pose.",
            search="POSE_KEYPOINT, dwpose, openpose, SDPose, import pose, mocap, gesture, 关键点, 姿态, 姿势, "
            "动作捕捉, 手势",
            inputs=[
                PoseKeypoint.Input("keypoints", tooltip="POSE_KEYPOINT of a whole clip, one entry for each frame."),
                io.Float.Input(
                    "source_fps",
                    default=FPS,
                    min=1.0,
                    max=240.0,
                    step=0.001,
                    tooltip="Frames a second of the keypoints: that of the video they were found in.",
                ),
                io.Float.Input(
                    "fps",
                    default=FPS,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames a second of the pose: that of the video to be made. The gestures keep their speed.",
                ),
            ],
            outputs=[types.Pose.Output("pose", display_name="pose")],
        )

    @classmethod
    def execute(cls, keypoints, source_fps, fps) -> io.NodeOutput:
        from ...bridge.reports import say, warn
        from ...echomimic_core.pose import edit
        from ...echomimic_core.pose.keypoints import from_keypoints

        pose = from_keypoints(keypoints, source_fps)
        seen = int(pose.shows_somebody().sum())
        if seen == len(pose):
            say(f"A person in each of {seen} frames.")
        else:
            warn(
                f"There is a person in {seen} of {len(pose)} frames of the keypoints; in the others nothing leads the "
                "hands. Look at the video that they were found in, and at the detector."
            )
        return io.NodeOutput(edit.change_rate(pose, fps))


class EchoMimicV2PoseToKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PoseToKeypoints",
            display_name="EchoMimicV2 Pose To Keypoints",
            category="EchoMimicV2/pose",
            description="Gives a pose to other packs' editors and renderers as POSE_KEYPOINT.",
            search="POSE_KEYPOINT, dwpose, openpose, SDPose, export pose, mocap, 关键点, 姿态, 姿势, 动作捕捉",
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to pass on."),
                io.Boolean.Input(
                    "keep_scores",
                    default=False,
                    tooltip="On: the true confidences. Off: each point counts fully or not at all, which many readers "
                    "need: they drop every point below 1.",
                ),
                io.Float.Input(
                    "min_score",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Points of less confidence are left out. Not used with keep_scores.",
                ),
            ],
            outputs=[PoseKeypoint.Output("keypoints", display_name="keypoints")],
        )

    @classmethod
    def execute(cls, pose, keep_scores, min_score) -> io.NodeOutput:
        from ...echomimic_core.pose.keypoints import to_keypoints

        return io.NodeOutput(to_keypoints(pose, keep_scores, min_score))


NODES = [EchoMimicV2PoseFromKeypoints, EchoMimicV2PoseToKeypoints]

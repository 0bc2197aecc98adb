"""POSE_KEYPOINT of other packs, in and out."""

from comfy_api.latest import io

from .. import types
from .inputs import fps_of_video_input, source_fps_input

# OpenPose-like keypoints, as core's and other packs' detectors pass them on.
PoseKeypoint = io.Custom("POSE_KEYPOINT")


class EchoMimicV2PoseFromKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PoseFromKeypoints",
            display_name="EchoMimicV2 Pose From Keypoints",
            category="EchoMimicV2/pose",
            description="Converts keypoints from other detectors and editors (DWPose, SDPose, OpenPose) to a pose.",
            search="POSE_KEYPOINT, dwpose, openpose, SDPose, import pose, mocap, gesture, 关键点, 姿态, 姿势, "
            "动作捕捉, 手势",
            inputs=[
                PoseKeypoint.Input("keypoints", tooltip="POSE_KEYPOINT for a whole clip, one entry per frame."),
                source_fps_input("Frame rate of the keypoints: that of the video they were detected in."),
                fps_of_video_input(),
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
                f"There is a person in {seen} of {len(pose)} frames of the keypoints; in the others nothing "
                "guides the hands. Check the source video and the detector."
            )
        return io.NodeOutput(edit.change_rate(pose, fps))


class EchoMimicV2PoseToKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PoseToKeypoints",
            display_name="EchoMimicV2 Pose To Keypoints",
            category="EchoMimicV2/pose",
            description="Converts a pose to POSE_KEYPOINT for other packs' editors and renderers.",
            search="POSE_KEYPOINT, dwpose, openpose, SDPose, export pose, mocap, 关键点, 姿态, 姿势, 动作捕捉",
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to convert."),
                io.Boolean.Input(
                    "keep_scores",
                    default=False,
                    tooltip="On: real confidence values. Off: every point is either 1 or absent. Many nodes need "
                    "this, since they drop points below 1.",
                ),
                io.Float.Input(
                    "min_score",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Points below this confidence are dropped. Ignored when keep_scores is on.",
                ),
            ],
            outputs=[PoseKeypoint.Output("keypoints", display_name="keypoints")],
        )

    @classmethod
    def execute(cls, pose, keep_scores, min_score) -> io.NodeOutput:
        from ...echomimic_core.pose.keypoints import to_keypoints

        return io.NodeOutput(to_keypoints(pose, keep_scores, min_score))


NODES = [EchoMimicV2PoseFromKeypoints, EchoMimicV2PoseToKeypoints]

"""Hand Pose: a steady pose from a driving video."""

from comfy_api.latest import io, ui

from ...echomimic_core.choices import BUILT_IN, DETECTORS, LONG_GAPS, PACKAGE
from .. import types
from .inputs import fps_of_video_input, source_fps_input


class EchoMimicV2HandPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2HandPose",
            display_name="EchoMimicV2 Hand Pose",
            category="EchoMimicV2/pose",
            description="Detects hands, body and face in a driving video (or a batch of pictures) and returns a "
            "stable pose.",
            search="mocap, motion capture, dwpose, openpose, mediapipe, hand tracking, pose estimation, "
            "video to pose, gesture, 动作捕捉, 动捕, 姿态检测, 姿势, 手势",
            inputs=[
                io.MultiType.Input(
                    "source",
                    types=[io.Video, io.Image],
                    tooltip="The driving video from Load Video, or a batch of pictures. One person, hands visible. "
                    "Video is read frame by frame, so it can be long.",
                ),
                source_fps_input("Frame rate of an image batch. Ignored for video, which has its own."),
                fps_of_video_input(),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.1,
                    tooltip="Time in the source, in seconds, at which the pose starts.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.1,
                    tooltip="Seconds to use; 0 uses everything. Shorter is faster: without a GPU each frame takes "
                    "about a tenth of a second.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Removes detection jitter without lag. Too much flattens quick gestures.",
                ),
                io.Float.Input(
                    "max_gap",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Gaps up to this many seconds are interpolated.",
                ),
                io.Combo.Input(
                    "long_gaps",
                    options=list(LONG_GAPS),
                    default="hold",
                    tooltip="What to do when a hand is lost for longer: hold repeats the nearest pose in time, "
                    "before or after the gap; empty leaves the hand out, and the model invents it.",
                ),
                io.Boolean.Input(
                    "download_models",
                    default=False,
                    tooltip="Downloads MediaPipe's models (17 MB) from Google to models/mediapipe if they are "
                    "missing. Not needed for the built-in detector.",
                ),
                io.Boolean.Input(
                    "tracking",
                    default=False,
                    optional=True,
                    tooltip="Tracks hands, body and face from frame to frame instead of detecting them in every "
                    "frame: about twice as fast, but may lose a quick hand for a few frames. Built-in detector only.",
                ),
                io.Combo.Input(
                    "detector",
                    options=list(DETECTORS),
                    default=BUILT_IN,
                    optional=True,
                    tooltip="built-in: MediaPipe's networks, included in this pack, on ComfyUI's device. mediapipe: "
                    "the mediapipe package, if installed, with its own models.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose", display_name="pose"),
                io.String.Output("report", display_name="report", tooltip="How often each hand was found."),
                io.Float.Output("confidence", display_name="confidence", tooltip="Mean confidence of the hands (HKC)."),
            ],
        )

    @classmethod
    def execute(
        cls,
        source,
        source_fps,
        fps,
        start,
        duration,
        smoothing,
        max_gap,
        long_gaps,
        download_models,
        tracking=False,
        detector=BUILT_IN,
    ) -> io.NodeOutput:
        from ...bridge.footage import timed_frames
        from ...bridge.landmarks import landmark_networks
        from ...bridge.mediapipe import find_bundles
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say, warn
        from ...echomimic_core.pose import detect

        progress = cancellable_progress()
        models = find_bundles(download_models, progress) if detector == PACKAGE else landmark_networks()
        frames, seconds, rate = timed_frames(source, source_fps)
        pose, report = detect.hand_pose(
            detect.between(frames, start, duration),
            models,
            fps=fps,
            smoothing=smoothing,
            max_gap=max_gap,
            long_gaps=long_gaps,
            total=detect.count_between(seconds, rate, start, duration),
            progress=progress,
            track=tracking,
        )
        text = f"{len(pose)} frames of pose\n{report}"
        if pose.shows_hands():
            say(text)
        else:
            text = f"No hand was found in any frame, so nothing will guide the hands.\n{text}"
            warn(text)
        return io.NodeOutput(pose, text, report.confidence, ui=ui.PreviewText(text))


NODES = [EchoMimicV2HandPose]

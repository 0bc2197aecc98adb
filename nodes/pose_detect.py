"""Hand poses from a driving video, and from and to other packs' keypoints."""

import comfy.model_management
import comfy.utils
from comfy_api.latest import InputImpl, io, ui

from ..echomimic_core.config import FPS
from . import types
from .pose_images import uint8_frames
from .video_window import active_window, is_as_in_file

# OpenPose-like keypoints, as core's and other packs' detectors pass them on.
PoseKeypoint = io.Custom("POSE_KEYPOINT")


def cancellable_progress():
    """A progress(done, total) that moves ComfyUI's bar and stops as soon as the user cancels."""
    bar = comfy.utils.ProgressBar(1)

    def progress(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return progress


class EchoMimicV2HandPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="EchoMimicV2HandPose",
            display_name="EchoMimicV2 Hand Pose",
            category="EchoMimicV2",
            description="Finds hands, body and face in a driving video (or pictures) and makes them a steady pose.",
            inputs=[
                io.MultiType.Input(
                    "source",
                    types=[io.Video, io.Image],
                    tooltip="The driving video from Load Video, or a batch of pictures. One person, hands visible. "
                    "A video is read frame by frame, so it may be long.",
                ),
                io.Float.Input(
                    "source_fps",
                    default=FPS,
                    min=1.0,
                    max=240.0,
                    step=0.001,
                    tooltip="Pictures a second of a picture batch. A video knows its own, and this is then not used.",
                ),
                io.Float.Input(
                    "fps",
                    default=FPS,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames a second of the pose: that of the video to be made. The gestures keep their speed.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.1,
                    tooltip="Second of the source at which the pose begins.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.1,
                    tooltip="Seconds to take; 0 takes all. Shorter is quicker: each frame costs about a twentieth of a "
                    "second.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Takes the jitter of detection away without lag. Too much makes quick gestures small.",
                ),
                io.Float.Input(
                    "max_gap",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Seconds: where a hand is lost for no longer, its way is filled in.",
                ),
                io.Combo.Input(
                    "long_gaps",
                    options=["hold", "empty"],
                    default="hold",
                    tooltip="What happens where a hand is lost for longer: hold keeps the place nearest in time "
                    "(before or after the gap), empty leaves it out and the model invents it.",
                ),
                io.Boolean.Input(
                    "download_models",
                    default=False,
                    tooltip="Fetches MediaPipe's models (17 MB) from Google into models/mediapipe if they are missing.",
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
        cls, source, source_fps, fps, start, duration, smoothing, max_gap, long_gaps, download_models
    ) -> io.NodeOutput:
        from ..echomimic_core.pose import detect
        from .pose_models import find_bundles

        progress = cancellable_progress()
        bundles = find_bundles(download_models, progress)
        frames, seconds, rate = _timed_frames(source, source_fps)
        pose, report = detect.hand_pose(
            detect.between(frames, start, duration),
            bundles,
            fps=fps,
            smoothing=smoothing,
            max_gap=max_gap,
            long_gaps=long_gaps,
            total=detect.count_between(seconds, rate, start, duration),
            progress=progress,
        )
        return io.NodeOutput(pose, str(report), report.confidence, ui=ui.PreviewText(str(report)))


def _timed_frames(source, source_fps: float):
    """(seconds, picture) of a VIDEO or IMAGE, one at a time; its length in seconds and frame rate, 0 if unknown."""
    from ..echomimic_core.pose.detect import between
    from ..echomimic_core.video import frame_rate, read_frames

    if isinstance(source, InputImpl.VideoFromFile) and is_as_in_file(source):
        begin, length = active_window(source)
        file = source.get_stream_source()
        frames = between(_until_cancelled(read_frames(file)), begin, length)
        return frames, length or _known(source.get_duration), _known(lambda: frame_rate(file))
    if hasattr(source, "get_components"):
        components = source.get_components()
        source, source_fps = components.images, float(components.frame_rate)
    frames = ((index / source_fps, picture) for index, picture in enumerate(uint8_frames(source)))
    return frames, len(source) / source_fps, source_fps


def _known(ask) -> float:
    """What a video says about itself, or 0 where its container does not tell: it is only for the progress."""
    try:
        return float(ask())
    except (TypeError, ValueError):
        return 0.0


def _until_cancelled(frames):
    """The frames, also those that are only passed over on the way to a late start, until the user cancels."""
    for frame in frames:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield frame


class EchoMimicV2PoseFromKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="EchoMimicV2PoseFromKeypoints",
            display_name="EchoMimicV2 Pose From Keypoints",
            category="EchoMimicV2",
            description="Takes the keypoints of another detector or editor (DWPose, SDPose, OpenPose) as a pose.",
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
        from ..echomimic_core.pose import edit
        from ..echomimic_core.pose.keypoints import from_keypoints

        return io.NodeOutput(edit.change_rate(from_keypoints(keypoints, source_fps), fps))


class EchoMimicV2PoseToKeypoints(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="EchoMimicV2PoseToKeypoints",
            display_name="EchoMimicV2 Pose To Keypoints",
            category="EchoMimicV2",
            description="Gives a pose to other packs' editors and renderers as POSE_KEYPOINT.",
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
        from ..echomimic_core.pose.keypoints import to_keypoints

        return io.NodeOutput(to_keypoints(pose, keep_scores, min_score))


NODES = [EchoMimicV2HandPose, EchoMimicV2PoseFromKeypoints, EchoMimicV2PoseToKeypoints]

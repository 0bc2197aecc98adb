"""Align Pose: picture and pose brought together, and a number that says how well they fit."""

from comfy_api.latest import io, ui

from ...bridge.images import first_picture, to_images
from ...echomimic_core.config import FRAME_SIZE
from ...echomimic_core.pose.align import FRAMINGS
from ...echomimic_core.pose.detectors import BUILT_IN, DETECTORS, PACKAGE
from .. import types


class EchoMimicV2AlignPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2AlignPose",
            display_name="EchoMimicV2 Align Pose",
            category="EchoMimicV2/pose",
            description="Frames the picture as the model was trained, and moves and scales the pose onto the person: "
            "shoulders, reach of the arms, size of the hands.",
            search="pose retarget, fit pose, pose transfer, dwpose, gesture, 姿态对齐, 姿势, 手势, 动作迁移",
            inputs=[
                io.Image.Input(
                    "image", tooltip="The reference picture: one person, head, shoulders, arms and hands visible."
                ),
                types.Pose.Input("pose", tooltip="The pose to bring onto the person, from anywhere."),
                types.Pose.Input(
                    "image_pose",
                    optional=True,
                    tooltip="The pose found in the picture itself. Without it the picture is looked at here, as Hand "
                    "Pose does.",
                ),
                io.Int.Input("width", default=FRAME_SIZE, min=64, max=4096, step=8, tooltip="Width of the video."),
                io.Int.Input("height", default=FRAME_SIZE, min=64, max=4096, step=8, tooltip="Height of the video."),
                io.Combo.Input(
                    "framing",
                    options=list(FRAMINGS),
                    default=FRAMINGS[0],
                    tooltip="original: from above the head to below the elbows, as the model was trained. show hands: "
                    "the same, but wider where the pose's hands would leave the picture. keep: only crop to the size.",
                ),
                io.Boolean.Input(
                    "fit_hands",
                    default=True,
                    tooltip="On: hands get the person's size and arms the person's reach. Off: the pose is only moved "
                    "and scaled as a whole.",
                ),
                io.Combo.Input(
                    "fill",
                    options=["black", "edge"],
                    default="black",
                    tooltip="What is seen where the frame goes beyond the picture: black bars, or its edge drawn out.",
                ),
                io.Int.Input(
                    "overlay_frames",
                    default=6,
                    min=1,
                    max=1000,
                    tooltip="Frames of the pose to draw over the picture, spread over the clip.",
                ),
                io.Combo.Input(
                    "detector",
                    options=list(DETECTORS),
                    default=BUILT_IN,
                    optional=True,
                    tooltip="What looks at the picture where no image_pose is connected. built-in: MediaPipe's "
                    "networks inside this pack. mediapipe: the mediapipe package, if you have installed it.",
                ),
            ],
            outputs=[
                io.Image.Output("aligned_image", display_name="image", tooltip="For Reference Encode."),
                types.Pose.Output("aligned_pose", display_name="pose", tooltip="For the EchoMimicV2 Sampler."),
                io.Image.Output("overlay", display_name="overlay"),
                io.Float.Output("score", display_name="score", tooltip="0 to 100: how well the aligned pose fits."),
                io.Float.Output("score_before", display_name="score before", tooltip="How well it fitted as given."),
                io.String.Output("report", display_name="report", tooltip="Both scores and what lowers them."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image,
        pose,
        width,
        height,
        framing,
        fit_hands,
        fill,
        overlay_frames,
        image_pose=None,
        detector=BUILT_IN,
    ) -> io.NodeOutput:
        from ...bridge.reports import say, warn
        from ...echomimic_core.pose import align, preview

        picture = first_picture(image)
        person, answers = (image_pose, ()) if image_pose is not None else _find_person(picture, detector)
        if abs(person.width / person.height - picture.shape[1] / picture.shape[0]) > 0.01:
            raise ValueError(
                f"image_pose was found in a picture of {person.width}x{person.height}, but the picture here is "
                f"{picture.shape[1]}x{picture.shape[0]}: connect the pose of this very picture, or none"
            )
        person = align.on_canvas(person, picture.shape[1], picture.shape[0])
        result = align.align(person, pose, width, height, framing, fit_hands)
        aligned = align.warp_picture(picture, result.matrix, width, height, fill)
        frames = preview.spread(len(result.pose), overlay_frames)
        drawn = preview.overlay(result.pose, aligned, frames, ("body", "hands"))
        report = "\n".join([f"as given: {result.before}", f"aligned: {result.after}", *map(str, answers)])
        (say if result.after.score >= align.GOOD_SCORE else warn)(report)
        overlay = to_images(drawn)
        return io.NodeOutput(
            to_images(aligned[None]),
            result.pose,
            overlay,
            result.after.score,
            result.before.score,
            report,
            ui={**ui.PreviewImage(overlay, cls=cls).as_dict(), "text": (report,)},
        )


def _find_person(picture, detector: str):
    from ...bridge.landmarks import landmark_networks
    from ...bridge.mediapipe import find_bundles
    from ...echomimic_core.pose import detect
    from ...echomimic_core.pose.detectors.ladder import climb

    if detector == PACKAGE:
        return detect.steady(detect.detect([(0.0, picture)], find_bundles())), ()
    found, answers = climb(picture, landmark_networks())
    return detect.steady(found), answers


NODES = [EchoMimicV2AlignPose]

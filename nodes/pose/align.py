"""Align Pose: picture and pose brought together, and a number that says how well they fit."""

from comfy_api.latest import io, ui

from ...echomimic_core.choices import BUILT_IN, DETECTORS, FRAMINGS, PACKAGE
from ...echomimic_core.choices import RETARGET_MODES as MODES
from ...echomimic_core.config import FRAME_SIZE
from .. import types


class EchoMimicV2AlignPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2AlignPose",
            display_name="EchoMimicV2 Align Pose",
            category="EchoMimicV2/pose",
            description="Frames the picture the way the model was trained, and fits the pose to the person: "
            "shoulders, arm length, hand size.",
            search="pose retarget, fit pose, pose transfer, dwpose, gesture, 姿态对齐, 姿势, 手势, 动作迁移",
            inputs=[
                io.Image.Input(
                    "image", tooltip="The reference picture: one person, with head, shoulders, arms and hands visible."
                ),
                types.Pose.Input("pose", tooltip="The pose to fit to the person, from any source."),
                types.Pose.Input(
                    "image_pose",
                    optional=True,
                    tooltip="The pose detected in the picture itself. If not connected, it is detected here, as in "
                    "Hand Pose.",
                ),
                io.Int.Input("width", default=FRAME_SIZE, min=64, max=4096, step=8, tooltip="Width of the video."),
                io.Int.Input("height", default=FRAME_SIZE, min=64, max=4096, step=8, tooltip="Height of the video."),
                io.Combo.Input(
                    "framing",
                    options=list(FRAMINGS),
                    default=FRAMINGS[0],
                    tooltip="original: from above the head to below the elbows, as the model was trained. show "
                    "hands: the same, but wider where the hands of the pose would leave the picture. keep: only crop "
                    "to size.",
                ),
                io.Boolean.Input(
                    "fit_hands",
                    default=True,
                    tooltip="On: hand size and arm length are matched to the person. Off: the pose is only moved and "
                    "scaled as a whole.",
                ),
                io.Combo.Input(
                    "fill",
                    options=["black", "edge"],
                    default="black",
                    tooltip="What fills the frame beyond the picture: black bars, or the stretched edge of the "
                    "picture.",
                ),
                io.Int.Input(
                    "overlay_frames",
                    default=6,
                    min=1,
                    max=1000,
                    tooltip="Number of pose frames to draw over the picture, spread evenly over the clip.",
                ),
                io.Combo.Input(
                    "detector",
                    options=list(DETECTORS),
                    default=BUILT_IN,
                    optional=True,
                    tooltip="The detector used when image_pose is not connected. built-in: MediaPipe's networks, "
                    "included in this pack. mediapipe: the mediapipe package, if installed.",
                ),
                types.Crop.Input(
                    "crop",
                    optional=True,
                    tooltip="The crop of Crop Person, if the picture is one: Paste Person then finds the way back to "
                    "the whole picture.",
                ),
                io.Combo.Input(
                    "retarget",
                    options=list(MODES),
                    default=MODES[0],
                    optional=True,
                    tooltip="For other bodies: a child, a cartoon, a toy. Fits upper arm, forearm and hand one by one, "
                    "instead of fit_hands. four fingers: also merges ring and little finger. The picture should show "
                    "the arms across the view, not pointing at the viewer.",
                ),
            ],
            outputs=[
                io.Image.Output("aligned_image", display_name="image", tooltip="For Reference Encode."),
                types.Pose.Output("aligned_pose", display_name="pose", tooltip="For EchoMimicV2 Sampler."),
                io.Image.Output("overlay", display_name="overlay"),
                io.Float.Output("score", display_name="score", tooltip="0 to 100: how well the aligned pose fits."),
                io.Float.Output(
                    "score_before", display_name="score before", tooltip="The same score before alignment."
                ),
                io.String.Output("report", display_name="report", tooltip="Both scores, and what lowers them."),
                types.Crop.Output(
                    "aligned_crop",
                    display_name="crop",
                    tooltip="The place of this picture in the whole picture, for Paste Person.",
                ),
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
        crop=None,
        retarget=MODES[0],
    ) -> io.NodeOutput:
        from ...bridge.images import first_picture, to_images
        from ...bridge.reports import say, warn
        from ...echomimic_core.pose import align, preview
        from ...echomimic_core.scene.crop import whole_picture

        picture = first_picture(image)
        if crop is None:
            crop = whole_picture(picture.shape[1], picture.shape[0])
        elif (crop.width, crop.height) != (picture.shape[1], picture.shape[0]):
            raise ValueError(
                f"crop is {crop.width}x{crop.height}, but the image is {picture.shape[1]}x{picture.shape[0]}: connect "
                "the image and the crop of the same Crop Person"
            )
        person, answers = (image_pose, ()) if image_pose is not None else find_person(picture, detector)
        if abs(person.width / person.height - picture.shape[1] / picture.shape[0]) > 0.01:
            raise ValueError(
                f"image_pose was found in a picture of {person.width}x{person.height}, but the picture here is "
                f"{picture.shape[1]}x{picture.shape[0]}: connect the pose of this picture, or leave image_pose "
                "unconnected"
            )
        person = align.on_canvas(person, picture.shape[1], picture.shape[0])
        result = align.align(person, pose, width, height, framing, fit_hands, retarget)
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
            crop.then(result.matrix, width, height),
            ui={**ui.PreviewImage(overlay, cls=cls).as_dict(), "text": (report,)},
        )


def find_person(picture, detector: str = BUILT_IN):
    """The pose of the person in a picture (H, W, 3), and for each hand how it was found, where the detector says."""
    from ...bridge.landmarks import landmark_networks
    from ...bridge.mediapipe import find_bundles
    from ...echomimic_core.pose import detect
    from ...echomimic_core.pose.detectors.ladder import climb

    if detector == PACKAGE:
        return detect.steady(detect.detect([(0.0, picture)], find_bundles())), ()
    found, answers = climb(picture, landmark_networks())
    return detect.steady(found), answers


NODES = [EchoMimicV2AlignPose]

"""Pose Pad: hands and body placed by hand on the picture, for one frame, a clip, or as corrections to a clip."""

from comfy_api.latest import io, ui

from .. import types
from .align import find_person


class EchoMimicV2PosePad(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PosePad",
            display_name="EchoMimicV2 Pose Pad",
            category="EchoMimicV2/pose",
            description="Place hands, arms and head by hand on any picture: a painting, a cartoon, a plush bear. Key "
            "frames make a clip; with a pose connected, drags correct it.",
            search="pose editor, openpose editor, draw pose, keyframe, animate hands, cartoon, painting, mascot, "
            "姿态编辑, 手动姿态, 关键帧, 手势, 卡通, 绘画",
            is_output_node=True,
            inputs=[
                io.String.Input(
                    "pad",
                    default="",
                    tooltip="The placed pose as JSON, at most 16 KB (about 40 key frames). The pad in the node writes "
                    "it; it travels with the workflow and works through the API.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture to place the pose on: the same one that goes to Align Pose. With a pose "
                    "connected it is only the backdrop.",
                ),
                types.Pose.Input(
                    "pose",
                    optional=True,
                    tooltip="A clip to correct. If connected, each drag is a correction at the current time that "
                    "eases in and out; the rest of the clip stays as it is.",
                ),
            ],
            outputs=[
                types.Pose.Output(
                    "pose_out",
                    display_name="pose",
                    tooltip="One frame for image_pose of Align Pose, or a clip for pose.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, pad):
        from ...echomimic_core.pose.pad.value import read

        try:
            read(pad)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, pad, image=None, pose=None) -> io.NodeOutput:
        from ...bridge.images import first_picture, to_images
        from ...echomimic_core.pose.pad import fit, page, value
        from ...echomimic_core.pose.pad.result import result

        placed = value.read(pad)
        finding = placed is not None and placed.find
        picture = None if image is None else first_picture(image)
        size = None if picture is None else (picture.shape[1], picture.shape[0])
        shown = {}
        if picture is not None:
            # Not under "images", which the page would draw below the pad.
            shown["pad_picture"] = ui.PreviewImage(to_images(picture[None]), cls=cls).as_dict()["images"]
        if pose is not None:
            shown["pad_ground"] = [page.ground(pose)]
        # Over a clip there is nothing to find: it is shown as it comes, whatever its shape.
        if finding and pose is not None:
            placed = None
        elif finding:
            if picture is None:
                raise ValueError("Find needs a picture: connect image")
            key, missing = fit.key_of_pose(find_person(picture)[0])
            shown |= {"pad_found": [value.written_key(key)], "pad_missing": list(missing), "pad_size": list(size)}
            placed = value.Pad(*size, keys=(key,))
        made = result(placed, size, pose)
        return io.NodeOutput(made, ui=shown)


NODES = [EchoMimicV2PosePad]

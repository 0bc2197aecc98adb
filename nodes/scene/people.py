"""Find People: everybody in a picture or video."""

from comfy_api.latest import io, ui

from .. import types

MOST_PEOPLE = 8


class EchoMimicV2FindPeople(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2FindPeople",
            display_name="EchoMimicV2 Find People",
            category="EchoMimicV2/scene",
            description="Finds everyone in a picture or video and numbers them, so that one of them can speak while "
            "the rest of the picture stays as it is.",
            search="person detection, full body, group photo, several people, multi person, segmentation, whole "
            "picture, lip sync video, 人物检测, 全身, 多人, 合影, 双人对话, 视频对口型",
            inputs=[
                io.MultiType.Input(
                    "source",
                    types=[io.Video, io.Image],
                    tooltip="The whole picture or video, in any framing. A batch of pictures counts as a video.",
                ),
                io.Int.Input(
                    "most_people",
                    default=4,
                    min=1,
                    max=MOST_PEOPLE,
                    tooltip="Number of people to look for; the largest ones count. They are numbered from left to "
                    "right.",
                ),
                io.Boolean.Input(
                    "small_people",
                    default=True,
                    tooltip="Looks a second time, in parts of the picture, for people who are small in it.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Masks from any segmenter, used in place of the built-in ones: for a picture, one mask per "
                    "person in any order; for a video of one person, one mask per frame.",
                ),
                io.Float.Input(
                    "source_fps",
                    default=24.0,
                    min=1.0,
                    max=240.0,
                    step=0.001,
                    optional=True,
                    tooltip="Frame rate of a batch of pictures. Ignored for video, which has its own.",
                ),
            ],
            outputs=[
                types.People.Output("people", display_name="people", tooltip="For Crop Person."),
                io.Image.Output("overlay", display_name="overlay", tooltip="Who is which number."),
                io.Int.Output("count", display_name="count", tooltip="Number of people found."),
                io.Float.Output(
                    "fps", display_name="fps", tooltip="Frame rate of the video, for Audio Embeds; 24 for a picture."
                ),
                io.Mask.Output(
                    "masks", display_name="mask", tooltip="One mask per person of the first frame, white is the person."
                ),
            ],
        )

    @classmethod
    def execute(cls, source, most_people, small_people, mask=None, source_fps=24.0) -> io.NodeOutput:
        from ...bridge.footage import footage_of
        from ...bridge.images import to_images
        from ...bridge.landmarks import landmark_networks
        from ...bridge.progress import cancellable_progress
        from ...echomimic_core.config import FPS
        from ...echomimic_core.scene import masks, people

        footage = footage_of(source, source_fps)
        found = people.find_people(footage, most_people, small_people, landmark_networks(), cancellable_progress())
        if mask is not None:
            found = masks.with_masks(found, mask)
        shown = to_images(people.overlay(found)[None])
        rate = footage.fps or float(FPS)
        return io.NodeOutput(
            found, shown, len(found), rate, masks.first_masks(found), ui=ui.PreviewImage(shown, cls=cls)
        )


NODES = [EchoMimicV2FindPeople]

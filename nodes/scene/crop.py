"""Crop Person: one person of a picture or video as a picture of their own."""

from comfy_api.latest import io, ui

from ...echomimic_core.choices import CAMERAS, EXTENSIONS, MASKS
from ...echomimic_core.config import FRAME_SIZE
from .. import types

FRAMES_PER_ENCODE = 4


class EchoMimicV2CropPerson(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2CropPerson",
            display_name="EchoMimicV2 Crop Person",
            category="EchoMimicV2/scene",
            description="Cuts one person out of the picture, framed as the model was trained, and remembers the place "
            "for Paste Person.",
            search="crop and stitch, inpaint crop, person crop, face crop, full body, dub video, redub, 裁剪人物, "
            "裁剪, 局部重绘, 全身, 配音, 视频换口型",
            inputs=[
                types.People.Input("people", tooltip="From Find People."),
                io.Int.Input(
                    "person", default=1, min=1, max=64, tooltip="The person's number in the overlay of Find People."
                ),
                io.Int.Input(
                    "size",
                    default=FRAME_SIZE,
                    min=64,
                    max=2048,
                    step=8,
                    tooltip="Side of the square crop in pixels: the size at which the person is generated.",
                ),
                io.Float.Input(
                    "margin",
                    default=0.15,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Room on each side, as a part of the square from above the head to below the elbows. "
                    "More gives the hands more room, and the face fewer pixels.",
                ),
                io.Combo.Input(
                    "camera",
                    options=list(CAMERAS),
                    default=CAMERAS[0],
                    tooltip="For video. still: one place for the whole video. follow: the crop smoothly follows the "
                    "shoulders, for a moving camera or a person who walks.",
                ),
                io.Combo.Input(
                    "mask",
                    options=list(MASKS),
                    default=MASKS[0],
                    tooltip="What may change. person: the whole person. face or lower face: only that, frame by "
                    "frame, to give a video a new voice while its own hands, head movements and eyes stay.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip="For video: frames to use, for example the frames of Audio Embeds. 0 uses the whole video.",
                ),
                io.Combo.Input(
                    "when_longer",
                    options=list(EXTENSIONS),
                    default=EXTENSIONS[0],
                    tooltip="When frames asks for more than the video has. stop: the video ends. hold: its last frame "
                    "stays. ping-pong: it plays back and forth.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="For video: also encodes every frame of the crop, for the latent input of the sampler.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "image", display_name="image", tooltip="The person, for Align Pose and Reference Encode."
                ),
                types.Pose.Output("pose", display_name="pose", tooltip="The person's own pose, for image_pose."),
                types.Crop.Output("crop", display_name="crop", tooltip="For Align Pose and Paste Person."),
                io.Latent.Output(
                    "latent",
                    display_name="latent",
                    tooltip="Every frame of the crop, for the sampler's latent. Only if vae is connected.",
                ),
            ],
        )

    @classmethod
    def execute(cls, people, person, size, margin, camera, mask, frames, when_longer, vae=None) -> io.NodeOutput:
        from ...bridge.images import to_images
        from ...bridge.progress import cancellable_progress
        from ...echomimic_core.scene import crop as core_crop
        from ...echomimic_core.scene.footage import extended

        footage, someone = people.footage, people.person(person)
        order = None if footage.still else extended(len(someone), frames or len(someone), when_longer)
        crop = core_crop.crop_person(someone, size, margin, camera, mask, order, cancellable_progress())
        picture = to_images(core_crop.cut(footage.first(), crop)[None])
        latent = None if vae is None else encoded(footage, crop, vae)
        pose = core_crop.cropped_pose(someone.pose, crop)
        return io.NodeOutput(picture, pose, crop, latent, ui=ui.PreviewImage(picture, cls=cls))


def encoded(footage, crop, vae) -> dict:
    """The latents (F, 4, h, w) of every frame of a crop, a few frames at a time, as a LATENT."""
    import torch

    from ...bridge.images import to_images
    from ...bridge.progress import cancellable_progress
    from ...echomimic_core.config import FPS
    from ...echomimic_core.scene.crop import cut

    if crop.frames is not None:
        footage = footage.ordered(crop.frames)
    progress, pictures, latents = cancellable_progress(), [], None
    count, done = len(crop), 0
    for index, picture in zip(range(count), footage.read(), strict=False):
        pictures.append(to_images(cut(picture, crop, index)))
        if len(pictures) == FRAMES_PER_ENCODE or index == count - 1:
            values = vae.encode(torch.stack(pictures)).cpu()
            if latents is None:
                latents = torch.empty(count, *values.shape[1:])
            latents[done : done + len(values)] = values
            done, pictures = done + len(values), []
            progress(done, count)
    return {"samples": latents, "fps": crop.fps or float(FPS)}


NODES = [EchoMimicV2CropPerson]

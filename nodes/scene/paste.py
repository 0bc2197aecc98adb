"""Paste Person: generated people back into the whole picture or video, as a video file."""

from comfy_api.latest import io

from ...bridge import matte as mattes
from ...echomimic_core.choices import BODIES
from .. import types

MOST_CLIPS = 4


def _pair(number: int) -> list:
    optional = number > 1
    return [
        io.MultiType.Input(
            f"clip_{number}",
            types=[io.Latent, io.Image, io.Video],
            optional=optional,
            tooltip="The generated person: the LATENT of the sampler (connect vae too), pictures, or a video.",
        ),
        types.Crop.Input(
            f"crop_{number}",
            optional=optional,
            tooltip="The place of this person: from Crop Person, through Align Pose if it is used.",
        ),
    ]


class EchoMimicV2PastePerson(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PastePerson",
            display_name="EchoMimicV2 Paste Person",
            category="EchoMimicV2/scene",
            description="Puts generated people back into the whole picture or video without a seam: outside their "
            "masks every pixel is the original's. Connect the output to Save Video.",
            search="stitch, composite, blend, paste back, uncrop, full body, several people, video combine, redub, "
            "粘贴人物, 合成, 贴回, 全身, 多人, 视频换口型",
            inputs=[
                io.MultiType.Input(
                    "background",
                    types=[io.Video, io.Image],
                    tooltip="The whole picture or video, the same as in Find People. A video sets the frame rate and "
                    "the length of the result.",
                ),
                *_pair(1),
                io.Int.Input(
                    "feather",
                    default=16,
                    min=0,
                    max=256,
                    tooltip="Width of the soft transition around the person, in pixels of the whole picture.",
                ),
                io.Boolean.Input(
                    "match_colour",
                    default=True,
                    tooltip="Matches the colours of each clip to its surroundings, once for the whole clip.",
                ),
                io.Combo.Input(
                    "body",
                    options=list(BODIES),
                    default=BODIES[0],
                    tooltip="silhouette: only the person is pasted. box: the whole crop, with soft edges.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="The VAE from Load EchoMimicV2. Needed for LATENT clips."),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The audio of the video. It is trimmed, or padded with silence, to the length of the "
                    "video. Leave unconnected for a silent video.",
                ),
                io.UpscaleModel.Input(
                    "upscale_model",
                    optional=True,
                    tooltip="Enlarges the generated frames before pasting, for people who are larger in the picture "
                    "than they were generated.",
                ),
                *(socket for number in range(2, MOST_CLIPS + 1) for socket in _pair(number)),
                io.Combo.Input(
                    "matte",
                    options=mattes.MATTES,
                    default=mattes.MATTES[0],
                    optional=True,
                    tooltip=mattes.TOOLTIP,
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video"),
                io.Video.Output(
                    "matte_video", display_name="matte", tooltip="The pasted people, white on black, if matte is on."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        background,
        clip_1,
        crop_1,
        feather,
        match_colour,
        body,
        vae=None,
        audio=None,
        upscale_model=None,
        matte=mattes.MATTES[0],
        **more,
    ) -> io.NodeOutput:
        from ...bridge import footage
        from ...bridge.landmarks import landmark_networks
        from ...bridge.progress import cancellable_progress
        from ...bridge.temp_video import temp_video
        from ...echomimic_core.scene.paste import frames_of, look

        pairs = {1: (clip_1, crop_1)}
        pairs |= {n: (more.get(f"clip_{n}"), more.get(f"crop_{n}")) for n in range(2, MOST_CLIPS + 1)}
        pairs = {number: pair for number, pair in pairs.items() if any(part is not None for part in pair)}
        lone = [number for number, pair in pairs.items() if any(part is None for part in pair)]
        if lone:
            raise ValueError(f"clip_{lone[0]} and crop_{lone[0]} belong together: connect both, or neither")
        upscale = footage.upscaler(upscale_model)
        clips = [footage.clip_footage(clip, vae, upscale) for clip, _ in pairs.values()]
        # A batch of pictures does not say its rate; its crops do.
        rates = [crop.fps for _, crop in pairs.values() if crop.fps]
        ground = footage.footage_of(background, rates[0] if rates else clips[0].fps)
        crops = [on_canvas(crop, ground) for _, crop in pairs.values()]
        if not ground.still:
            ground = extended_as(ground, crops)
        networks, progress = landmark_networks(), cancellable_progress()
        layers = [
            look(clip, crop, ground, body, match_colour, networks, progress)
            for clip, crop in zip(clips, crops, strict=True)
        ]
        fps = ground.fps or max(clip.fps for clip in clips)
        sound = (audio["waveform"], audio["sample_rate"]) if audio is not None else None
        video = temp_video(lambda path: write_scene(path, ground, layers, fps, feather, sound))
        size = (ground.width, ground.height)
        people = mattes.save_mattes(
            matte,
            lambda: with_mattes(ground, layers, fps, feather, networks),
            fps,
            size,
            frames_of(ground, layers, fps),
            sound,
        )
        return io.NodeOutput(video, people)


def extended_as(ground, crops):
    """A video in the order of the frames of its crops, where Crop Person has extended it; otherwise as it is."""
    import numpy as np

    orders = [crop.frames for crop in crops if crop.frames is not None]
    orders = [order for order in orders if not np.array_equal(order, np.arange(len(order)))]
    return ground.ordered(max(orders, key=len)) if orders else ground


def on_canvas(crop, ground):
    """A crop on a background of the size it was cut from, or of the same shape; ValueError for any other."""
    from dataclasses import replace

    import numpy as np

    from ...echomimic_core.scene.resample import product

    width, height = crop.canvas
    if (width, height) == (ground.width, ground.height):
        return crop
    if abs(width / height - ground.width / ground.height) > 0.01 * width / height:
        raise ValueError(
            f"the crop is from a picture of {width}x{height}, but the background is {ground.width}x{ground.height}: "
            "connect the picture or video that was connected to Find People"
        )
    smaller = np.array([[width / ground.width, 0, 0], [0, height / ground.height, 0]])
    return replace(crop, matrices=product(crop.matrices, smaller), canvas=(ground.width, ground.height))


def write_scene(path: str, ground, layers, fps: float, feather: int, sound) -> None:
    """Paste all layers into a video file, frame by frame, with progress."""
    import comfy.model_management

    from ...bridge.progress import cancellable_progress
    from ...echomimic_core.media.video import STILL_CRF, VideoWriter
    from ...echomimic_core.scene.paste import frames_of, paste

    progress = cancellable_progress()
    device = comfy.model_management.get_torch_device()
    total = frames_of(ground, layers, fps)
    with VideoWriter(path, fps, ground.width, ground.height, sound, crf=STILL_CRF) as writer:
        for index, picture in enumerate(paste(ground, layers, fps, feather, device)):
            writer.write(picture[None])
            progress(index + 1, max(total, index + 1))


def with_mattes(ground, layers, fps: float, feather: int, networks):
    """Each frame of the scene with the matte of the people pasted into it."""
    import comfy.model_management

    from ...echomimic_core.scene.paste import paste, paste_mattes

    device = comfy.model_management.get_torch_device()
    pictures = paste(ground, layers, fps, feather, device)
    return zip(pictures, paste_mattes(ground, layers, fps, feather, device, networks), strict=False)


NODES = [EchoMimicV2PastePerson]

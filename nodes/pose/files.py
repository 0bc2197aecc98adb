"""Load, look at and save hand poses."""

import os
from itertools import count
from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from .. import types
from .inputs import fps_input

# Frames shown in the node itself; the IMAGE output carries all that were asked for.
FRAMES_IN_NODE = 16
MAX_FRAMES = 100_000


class EchoMimicV2LoadPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...bridge.folders import list_poses

        return types.schema(
            node_id="EchoMimicV2LoadPose",
            display_name="EchoMimicV2 Load Pose",
            category="EchoMimicV2/pose",
            description="Loads hand poses: a released pose folder (0.npy, 1.npy, …) or a file from Save Pose.",
            search="gesture, dwpose, npy, motion, load motion, 手势, 姿态, 姿势, 动作",
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=list_poses(),
                    tooltip="A pose folder or file in ComfyUI's input folder. [models] marks those in "
                    "models/echomimic/poses, [output] those from Save Pose.",
                ),
                io.Int.Input(
                    "start_frame",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Frames to skip at the start.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Frames to load; 0 loads all. A pose shorter than the voice is extended by the sampler.",
                ),
                fps_input(
                    "Frame rate of the pose folder (24 for the released ones). Ignored for pose files, which "
                    "store their own."
                ),
            ],
            outputs=[types.Pose.Output("pose", display_name="pose")],
        )

    @classmethod
    def validate_inputs(cls, folder):
        from ...bridge.folders import find_pose

        try:
            find_pose(folder)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder, start_frame, frames, fps):
        from ...bridge.folders import find_pose
        from ...echomimic_core.pose import files

        path = find_pose(folder)
        parts = files.frame_files(path) if path.is_dir() else [path]
        return [(part.name, part.stat().st_mtime_ns, part.stat().st_size) for part in parts]

    @classmethod
    def execute(cls, folder, start_frame, frames, fps):
        from ...bridge.folders import find_pose
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import warn
        from ...echomimic_core.pose import edit, files

        path = find_pose(folder)
        progress = cancellable_progress()
        pose = files.load_any(path, fps, progress)
        if not pose.shows_hands():
            warn(f"the pose {path} shows no hand in any frame, so nothing will guide the hands.")
        try:
            return io.NodeOutput(edit.trim(pose, start_frame, frames))
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from error


class EchoMimicV2PreviewPose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2PreviewPose",
            display_name="EchoMimicV2 Preview Pose",
            category="EchoMimicV2/pose",
            description="Shows a pose as the model sees it, or over the reference picture.",
            search="show pose, skeleton, dwpose, openpose, gesture, 骨架, 姿态, 姿势, 手势, 预览",
            is_output_node=True,
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to preview."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The fitted reference picture, to check whether the hands line up; a pose with another "
                    "aspect ratio is cropped to it, like crop in Reference Encode. If not connected, the pose is "
                    "drawn on its own canvas: this is the map the model sees if the pose has the size of the video, "
                    "as after Align Pose.",
                ),
                io.Int.Input(
                    "max_frames",
                    default=FRAMES_IN_NODE,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Frames to draw, spread evenly over the clip; 0 draws every frame.",
                ),
                io.Boolean.Input(
                    "body_and_face",
                    default=False,
                    tooltip="Also draws body and face in OpenPose colours. The released model never sees these.",
                ),
                io.Boolean.Input(
                    "contact_sheet",
                    default=False,
                    tooltip="Combines all drawn frames into one numbered contact sheet instead of a batch.",
                ),
            ],
            outputs=[io.Image.Output("image_out", display_name="image")],
        )

    @classmethod
    def execute(cls, pose, max_frames, body_and_face, contact_sheet, image=None):
        from ...bridge.images import first_picture, one_by_one, to_images
        from ...bridge.progress import cancellable_progress
        from ...echomimic_core.pose import draw, preview

        groups = draw.GROUPS if body_and_face else ("hands",)
        frames = preview.spread(len(pose), max_frames)
        picture = None if image is None else first_picture(image)

        def drawn(part):
            if picture is None:
                return draw.draw_maps(pose, part, pose.height, pose.width, groups)
            return preview.overlay(pose, picture, part, groups)

        pictures = preview.in_parts(drawn, frames, cancellable_progress())
        if contact_sheet:
            out = in_node = to_images(preview.contact_sheet(pictures, [str(frame) for frame in frames])[None])
        else:
            out = one_by_one(pictures, len(frames))
            in_node = out[preview.spread(len(out), FRAMES_IN_NODE)]
        return io.NodeOutput(out, ui=ui.PreviewImage(in_node, cls=cls))


class EchoMimicV2SavePose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2SavePose",
            display_name="EchoMimicV2 Save Pose",
            category="EchoMimicV2/pose",
            description="Saves a pose to output/poses, where Load Pose finds it. Nothing is overwritten.",
            search="export pose, export motion, gesture, mocap, 保存姿态, 导出动作, 姿势, 手势",
            is_output_node=True,
            inputs=[
                types.Pose.Input("pose", tooltip="The pose to save."),
                io.String.Input(
                    "filename",
                    default="pose",
                    tooltip="File name without extension; a number is appended. May include subfolders.",
                ),
                io.Combo.Input(
                    "format",
                    options=["safetensors", "json"],
                    default="safetensors",
                    tooltip="safetensors is small and exact; json can be edited in any text editor.",
                ),
            ],
            outputs=[types.Pose.Output("pose_out", display_name="pose")],
        )

    @classmethod
    def execute(cls, pose, filename, format):
        from ...bridge.folders import output_directory
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.files import durable
        from ...echomimic_core.pose import files

        directory = os.path.abspath(output_directory())
        wanted = os.path.abspath(os.path.join(directory, filename))
        if wanted == directory or os.path.commonpath([directory, wanted]) != directory:
            raise ValueError(f"the filename {filename!r} points outside the output folder: use a name without '..'")
        for part in Path(filename.replace("\\", "/")).parts:
            durable.check_name(part)
        try:
            folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(filename, directory)
        except OSError as error:
            raise ValueError(durable.reason(error, Path(wanted))) from error
        paths = (Path(folder) / f"{name}_{number:05}.{format}" for number in count(counter))
        path = files.save(pose, next(paths), cancellable_progress(), paths)
        text = f"saved as {Path('poses', subfolder, path.name).as_posix()}"
        say(text)
        return io.NodeOutput(pose, ui=ui.PreviewText(text))


NODES = [EchoMimicV2LoadPose, EchoMimicV2PreviewPose, EchoMimicV2SavePose]

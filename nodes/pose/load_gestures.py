"""Load Gestures: a gesture library from poses or driving videos, for Voice Gestures."""

from pathlib import Path

from comfy_api.latest import io

from .. import types
from .inputs import fps_input

NOTHING = "no gestures found"


class EchoMimicV2LoadGestures(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...bridge.gestures import list_sources

        return types.schema(
            node_id="EchoMimicV2LoadGestures",
            display_name="EchoMimicV2 Load Gestures",
            category="EchoMimicV2/pose",
            description="Builds a gesture library from poses or driving videos, so that Voice Gestures moves the "
            "same way.",
            search="gesture library, gestures from video, motion library, mocap, 手势库, 视频手势, 动作库, 动作捕捉",
            inputs=[
                io.Combo.Input(
                    "source",
                    options=list_sources() or [NOTHING],
                    tooltip="A folder of poses or driving videos in ComfyUI's input folder, or a saved library: "
                    "[models] marks those in models/echomimic/gestures, [output] those in output/gestures.",
                ),
                fps_input("Frames per second of a new library. A saved library uses its own."),
                io.String.Input(
                    "name",
                    default="",
                    tooltip="Name of the new library in output/gestures. Leave empty to use the folder's name.",
                ),
            ],
            outputs=[
                types.Gestures.Output("gestures", display_name="gestures"),
                io.String.Output("report", display_name="report", tooltip="What was found, and what was left out."),
            ],
        )

    @classmethod
    def validate_inputs(cls, source=None):
        # The list changes: what is gone gets the node's own sentence.
        return True

    @classmethod
    def execute(cls, source, fps, name) -> io.NodeOutput:
        from functools import partial

        from ...bridge.gestures import find_hands, find_source, output_folder
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.files.durable import check_name, make_folder
        from ...echomimic_core.gestures.cutting import library_of
        from ...echomimic_core.gestures.files import load_library, save_library
        from ...echomimic_core.gestures.sources import read_clips

        path = find_source(source)
        if path.is_file():
            library, said = load_library(path), []
        else:
            name, progress = name.strip() or path.name, cancellable_progress()
            check_name(name)
            if Path(name).name != name:
                raise ValueError(f"the name {name!r:.60} leads out of output/gestures: give a plain name")
            find, said = partial(find_hands, progress=progress), []
            library, nothing_in = library_of(read_clips(path, output_folder() / name, find, said, progress), fps)
            said += nothing_in
            path = save_library(library, make_folder(output_folder()) / f"{name}.safetensors", progress)
        kinds = ", ".join(dict.fromkeys(stroke.kind for stroke in library.strokes))
        report = "\n".join([f"{len(library.strokes)} strokes, {len(library.rests)} rests, in {path}", kinds, *said])
        say(report)
        return io.NodeOutput(library, report)


NODES = [EchoMimicV2LoadGestures]

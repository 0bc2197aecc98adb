"""Batch Folder: the files of a folder, one per run."""

from comfy_api.latest import io

from ..types import schema

KINDS = ["audio", "image", "video"]
ONE, ALL = "one per run", "all in one run"


class EchoMimicV2BatchFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        outputs = (io.Audio, io.Image, io.Video)
        return schema(
            node_id="EchoMimicV2BatchFolder",
            display_name="EchoMimicV2 Batch Folder",
            category="EchoMimicV2/inputs",
            description="Loads the voices, pictures or videos of a folder one after the other: queue the workflow as "
            "often as there are files. A file that cannot be read fails alone.",
            search="batch, folder, directory, queue, many files, loop, load audio, load images, 批量, 批处理, 文件夹, "
            "队列, 多个文件",
            inputs=[
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="A folder in ComfyUI's input folder, or a full path.",
                ),
                io.Combo.Input(
                    "kind",
                    options=KINDS,
                    default=KINDS[0],
                    tooltip="What to load. audio also takes the sound of videos.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=1_000_000,
                    control_after_generate=True,
                    tooltip="Which file, in the order of their names, from 0. Set control after generate to increment, "
                    "and the number next to Run to the number of files.",
                ),
                io.Combo.Input(
                    "files",
                    options=[ONE, ALL],
                    default=ONE,
                    tooltip="one per run: each run has its own memory and its own failure. all in one run: a list, for "
                    "a few short clips; all of them are held in memory until the last is done.",
                ),
            ],
            outputs=[
                *(
                    output.Output(kind, display_name=kind, is_output_list=True, tooltip=f"The file, if kind is {kind}.")
                    for kind, output in zip(KINDS, outputs, strict=True)
                ),
                io.String.Output(
                    "name",
                    display_name="name",
                    is_output_list=True,
                    tooltip="The file's name without its extension, for filename_prefix of Save Video.",
                ),
                io.Int.Output("count", display_name="count", tooltip="Number of files in the folder."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder=None, kind=None, index=None, files=None):
        from ...bridge.batch import files_in

        if not isinstance(folder, str) or kind not in KINDS:
            return ""
        try:
            found = files_in(folder, kind)
        except (ValueError, OSError) as error:
            return str(error)
        stats = [path.stat() for path in found]
        return str([(path.name, stat.st_mtime_ns, stat.st_size) for path, stat in zip(found, stats, strict=True)])

    @classmethod
    def execute(cls, folder, kind, index, files) -> io.NodeOutput:
        from comfy_execution.graph_utils import ExecutionBlocker

        from ...bridge.batch import files_in, read, read_or_block
        from ...bridge.reports import say

        found = files_in(folder, kind)
        count = len(found)
        if files == ONE:
            if index >= count:
                raise ValueError(
                    f"index is {index}, but the {count} files end at {count - 1}: all are done. Set index to 0 to "
                    "begin again"
                )
            found = found[index : index + 1]
            say(f"{found[0].name} ({index + 1} of {count})")
            loaded = [read(found[0], kind)]
        else:
            loaded = [read_or_block(path, kind) for path in found]
        other = [ExecutionBlocker(f"Batch Folder loads {kind} files here: set kind, or use its {kind} output")]
        values = [loaded if name == kind else other for name in KINDS]
        return io.NodeOutput(*values, [path.stem for path in found], count)


NODES = [EchoMimicV2BatchFolder]

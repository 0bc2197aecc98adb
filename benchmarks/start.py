"""What the pack adds to ComfyUI's start: `python -m benchmarks.start COMFYUI_FOLDER`, by ComfyUI's own Python.

Processor time of importing every node and of making its schema, after all that ComfyUI loads itself.
"""

import asyncio
import importlib.util
import os
import sys
import time
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]


def start_comfyui(folder: Path) -> None:
    """Load what ComfyUI has loaded when it comes to custom nodes."""
    sys.path[:] = [str(folder), *(path for path in sys.path if Path(path).resolve() != PACK)]
    os.chdir(folder)
    sys.argv = ["main.py", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import utils.install_util  # noqa: F401  (before others of the name could be found)

    for name in ("nodes", "execution", "server", "comfy_api.latest", "comfy.sd", "comfy.context_windows", "av"):
        importlib.import_module(name)


def main() -> None:
    start_comfyui(Path(sys.argv[1]).resolve())
    spec = importlib.util.spec_from_file_location(
        "echomimicv2", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    begun = time.process_time()
    module = sys.modules["echomimicv2"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
    imported = time.process_time() - begun
    for node in found:
        node.define_schema()
    print(f"{len(found)} nodes: imported in {imported:.3f} s, with schemas {time.process_time() - begun:.3f} s")


if __name__ == "__main__":
    main()

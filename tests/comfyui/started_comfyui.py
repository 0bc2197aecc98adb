"""ComfyUI and this pack in one process, for scripts that tests run apart: `script.py COMFYUI_FOLDER PACK_FOLDER ...`.

Import this first: it brings ComfyUI up on the CPU, as `main.py --cpu` would, and gives `load` to import from the pack.
"""

import importlib.util
import os
import sys
from pathlib import Path

COMFYUI, PACK, *ARGUMENTS = (Path(argument).resolve() for argument in sys.argv[1:])
sys.path.insert(0, str(COMFYUI))
os.chdir(COMFYUI)
sys.argv = ["main.py", "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import utils.install_util  # noqa: E402, F401  (before our folder of the same name could be found)


def load_pack():
    spec = importlib.util.spec_from_file_location(
        "echomimicv2", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["echomimicv2"] = module
    spec.loader.exec_module(module)
    importlib.import_module("echomimicv2.bridge").install()
    return importlib.import_module


load = load_pack()

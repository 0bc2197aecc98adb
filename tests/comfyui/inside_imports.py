"""Prints which packages loading every node of the pack brings in beside what ComfyUI has loaded itself, and which rooms
of the pack, as JSON."""

import asyncio
import json
import sys

from started_comfyui import load

import nodes  # noqa: F401  (ComfyUI's own, with all that it loads)

before = {name.partition(".")[0] for name in sys.modules} | {"echomimicv2"}
extension = asyncio.run(load("echomimicv2").comfy_entrypoint())
asyncio.run(extension.get_node_list())
packages = sorted({name.partition(".")[0] for name in sys.modules} - before)
core = [name.split(".")[2] for name in sys.modules if name.startswith("echomimicv2.echomimic_core.")]
print(json.dumps({"packages": packages, "rooms": sorted(set(core))}))

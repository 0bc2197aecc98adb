"""Prints which packages loading every node of the pack brings in beside what ComfyUI has loaded itself, as JSON."""

import asyncio
import json
import sys

from started_comfyui import load

import nodes  # noqa: F401  (ComfyUI's own, with all that it loads)

before = {name.partition(".")[0] for name in sys.modules}
extension = asyncio.run(load("echomimicv2").comfy_entrypoint())
asyncio.run(extension.get_node_list())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} - before)))

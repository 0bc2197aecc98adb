"""EchoMimicV2 for ComfyUI: a photo, a voice and hand poses become a talking semi-body video.

The door of the pack. ComfyUI calls `comfy_entrypoint`; importing this file does nothing, inside ComfyUI or outside it.
"""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Return the extension; its nodes are the `NODES` lists of the files below `nodes/`."""
    import importlib
    import logging
    import pkgutil

    from comfy_api.latest import ComfyExtension

    from . import bridge, nodes
    from .bridge.customs import inspected

    bridge.install()

    class EchoMimicV2Extension(ComfyExtension):
        async def get_node_list(self):
            found = []
            for info in pkgutil.walk_packages(nodes.__path__, f"{nodes.__name__}."):
                try:
                    module = importlib.import_module(info.name)
                except Exception:
                    # ComfyUI answers what is raised here with one line: say first where it happened.
                    file = info.name.removeprefix(f"{__name__}.").replace(".", "/")
                    logging.exception("EchoMimicV2: %s.py cannot be imported", file)
                    raise
                found += [inspected(node) for node in getattr(module, "NODES", [])]
            return sorted(found, key=nodes.rank)

    return EchoMimicV2Extension()

"""EchoMimicV2 for ComfyUI: a photo, a voice and hand poses become a talking semi-body video.

The door of the pack. ComfyUI calls `comfy_entrypoint`; importing this file does nothing, inside ComfyUI or outside it.
"""

WEB_DIRECTORY = "./web"

MODELS_FOLDER = "echomimic"
MEDIAPIPE_FOLDER = "mediapipe"


def _register_folders() -> None:
    """Tell ComfyUI of `models/echomimic` and `models/mediapipe`, beside those of extra_model_paths.yaml."""
    import contextlib
    import os

    import folder_paths

    for name in (MODELS_FOLDER, MEDIAPIPE_FOLDER):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
    with contextlib.suppress(OSError):  # a convenience: an artist finds the folders that the README speaks of
        os.makedirs(os.path.join(folder_paths.models_dir, MODELS_FOLDER, "poses"), exist_ok=True)
        os.makedirs(os.path.join(folder_paths.models_dir, MEDIAPIPE_FOLDER), exist_ok=True)


async def comfy_entrypoint():
    """Return the extension; its nodes are the `NODES` lists of the files in `nodes/`."""
    import importlib
    import logging
    import pkgutil

    from comfy_api.latest import ComfyExtension

    from . import nodes

    _register_folders()

    class EchoMimicV2Extension(ComfyExtension):
        async def get_node_list(self):
            found = []
            for info in pkgutil.iter_modules(nodes.__path__):
                try:
                    module = importlib.import_module(f"{nodes.__name__}.{info.name}")
                except Exception:
                    # ComfyUI answers what is raised here with one line: say first where it happened.
                    logging.exception("EchoMimicV2: nodes/%s.py cannot be imported", info.name)
                    raise
                found += getattr(module, "NODES", [])
            return found

    return EchoMimicV2Extension()

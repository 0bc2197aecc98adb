"""A VIDEO in ComfyUI's temp folder that outlives the folder's emptying."""

import inspect
import logging
import os
import uuid
from collections.abc import Callable
from functools import wraps

import folder_paths
from comfy_api.latest import InputImpl


class TempVideo(InputImpl.VideoFromFile):
    """ComfyUI's VIDEO of a file in its temp folder, which is made again where somebody has emptied that folder.

    ComfyUI keeps a node's outputs, but not what they point to: a queue that continues after the folder is emptied would
    find a name without a file.

    Parameters
    ----------
    path : of the file, which is there.
    make : writes it again; called with the path.
    """

    def __init__(self, path: str, make: Callable[[str], None]):
        super().__init__(path)
        self._path, self._make = path, make

    def restore(self) -> None:
        """Make the file again if it is gone."""
        if not os.path.exists(self._path):
            logging.info("EchoMimicV2: %s is missing from the temp folder, so the video is encoded again", self._path)
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._make(self._path)


def temp_video(make: Callable[[str], None]) -> TempVideo:
    """A VIDEO of a new file in ComfyUI's temp folder, written by `make`."""
    folder = folder_paths.get_temp_directory()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"EchoMimicV2_{uuid.uuid4().hex}.mp4")
    make(path)
    return TempVideo(path, make)


def restoring(name: str):
    """The method of ComfyUI's VIDEO of that name, with the file in its place."""

    @wraps(getattr(InputImpl.VideoFromFile, name))
    def method(self, *args, **kwargs):
        self.restore()
        return getattr(super(TempVideo, self), name)(*args, **kwargs)

    return method


for _name, _method in inspect.getmembers(InputImpl.VideoFromFile, inspect.isfunction):
    if not _name.startswith("_") and _name not in vars(TempVideo):
        setattr(TempVideo, _name, restoring(_name))

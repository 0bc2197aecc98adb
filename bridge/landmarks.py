"""The built-in detector's networks under ComfyUI's memory management."""

from functools import cache

import comfy.model_management
import comfy.ops

from ..echomimic_core.landmarks import Networks, load_networks
from .patcher import make_patcher


def landmark_networks() -> Networks:
    """The six networks on ComfyUI's device, whole; they are read from disk once a session."""
    patcher = _patcher()
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    return patcher.model


@cache
def _patcher():
    return make_patcher(load_networks(operations=comfy.ops.disable_weight_init))

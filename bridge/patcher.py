"""One way to put a network under ComfyUI's memory management."""

from collections.abc import Callable

import comfy.model_management
import comfy.model_patcher
import torch

from .model import EchoMimicModel
from .windows import WindowHandler


def make_patcher(model: torch.nn.Module, again: tuple[Callable, tuple] | None = None, disable_dynamic: bool = False):
    """Hand a model to core's memory management.

    Parameters
    ----------
    again : (function, arguments) that read the same model from its files, for a copy of its own on another device;
        core calls it with `disable_dynamic` too. None for networks that no node hands on.
    disable_dynamic : core's word for weights that are not moved page by page.
    """
    plain = comfy.model_patcher.ModelPatcher
    patcher_class = plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)
    patcher = patcher_class(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.cached_patcher_init = again
    if isinstance(model, EchoMimicModel):
        patcher.model_options["context_handler"] = WindowHandler()
    return patcher

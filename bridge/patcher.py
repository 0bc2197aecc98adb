"""One way to put a network under ComfyUI's memory management."""

import comfy.model_management
import comfy.model_patcher
import torch

from .model import EchoMimicModel
from .windows import WindowHandler


def make_patcher(model: torch.nn.Module):
    """Hand a model to core's memory management."""
    patcher_class = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    patcher = patcher_class(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    if isinstance(model, EchoMimicModel):
        patcher.model_options["context_handler"] = WindowHandler()
    return patcher

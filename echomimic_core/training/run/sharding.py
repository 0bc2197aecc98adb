"""Weights that are cut up between processes (FSDP 2): what a process holds, and how to have them whole.

Without FSDP every tensor is whole everywhere and these functions change nothing.
"""

from contextlib import contextmanager

import torch
from torch import nn

from ..settings import SettingsError


def check_engine(accelerator) -> None:
    """Set accelerate's engine up for these networks.

    Raises
    ------
    SettingsError : an engine that cuts weights up in a way they cannot be trained or saved whole in.
    """
    engine = accelerator.distributed_type.value
    if engine == "DEEPSPEED" and accelerator.state.deepspeed_plugin.zero_stage == 3:
        raise SettingsError(
            "DeepSpeed's ZeRO-3 cuts the weights up, so averages and checkpoints could not be whole: choose zero_stage "
            "2 in accelerate config, or FSDP with fsdp_version 2"
        )
    if engine != "FSDP":
        return
    plugin = accelerator.state.fsdp_plugin
    if plugin.fsdp_version != 2:
        raise SettingsError(
            "FSDP 1 cannot train these networks, of which some weights are frozen and some are not used in every step: "
            "set fsdp_version to 2 in accelerate config (torch 2.6 or later)"
        )
    # One unit: a step may use the reference U-Net in one process and not in another, whose units would wait for ever.
    plugin.set_auto_wrap_policy = lambda model: None
    plugin.auto_wrap_policy = None
    # Precision is autocast's and recomputation the networks' own, as without FSDP.
    plugin.mixed_precision_policy = None
    plugin.activation_checkpointing = False
    plugin.cpu_ram_efficient_loading = False


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor; all processes have to ask for it together."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def copy_into(target: torch.Tensor, value: torch.Tensor) -> None:
    """Write a whole tensor into one that may be cut up."""
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        value = distribute_tensor(value.to(target.device, target.dtype), target.device_mesh, target.placements)
    target.copy_(value)


@contextmanager
def whole_weights(model: nn.Module):
    """The model's own modules with whole weights inside the `with` block, entered by all processes together."""
    if hasattr(model, "unshard"):
        model.unshard()
    try:
        yield
    finally:
        if hasattr(model, "reshard"):
            model.reshard()

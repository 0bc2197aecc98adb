"""Which dtype weights are kept in and which they compute in."""

import comfy.model_management
import comfy.ops
import torch

from ..echomimic_core.runtime import FLOAT8

# Choices of the nodes that load and save weights; auto is None: as it suits.
WEIGHT_DTYPES = {
    "auto": None,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}

COMPUTE_DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def choose_dtypes(stored: torch.dtype, wanted: torch.dtype | None, parameters: int):
    """(dtype of the weights, dtype to cast to for computing or None), as core would choose for its own models."""
    dtype = wanted or comfy.model_management.unet_dtype(
        device=comfy.model_management.get_torch_device(),
        model_params=parameters,
        supported_dtypes=COMPUTE_DTYPES,
        weight_dtype=stored if stored in FLOAT8 else None,
    )
    return dtype, manual_cast_dtype(dtype)


def manual_cast_dtype(dtype: torch.dtype) -> torch.dtype | None:
    device = comfy.model_management.get_torch_device()
    return comfy.model_management.unet_manual_cast(dtype, device, COMPUTE_DTYPES)


def cast_weights(layer: torch.nn.Module, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a layer as its own forward would take them: one of `comfy.ops` casts, moves and patches."""
    own = isinstance(layer, comfy.ops.CastWeightBiasOp)
    if own and (layer.comfy_cast_weights or layer.weight_function or layer.bias_function):
        return comfy.ops.cast_bias_weight(layer, like)
    return layer.weight, layer.bias

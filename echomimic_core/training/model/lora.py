"""LoRA: low-rank adapters of the denoiser's attention, saved so that ComfyUI's own LoRA loaders take them."""

import re
from pathlib import Path

import torch

from ...files.checkpoints import write_tensors
from ..settings import LoRASettings, SettingsError
from .networks import TrainingModel

ADAPTER = "default"
# The MODEL of Load EchoMimicV2 has the denoiser under this name (bridge/model.py).
PREFIX = "diffusion_model."
LAYERS = r"(to_q|to_k|to_v|to_out\.0)"
PATHS = {
    "attn1": rf"denoising_unet\..*\.attn1\.{LAYERS}",
    "attn2": rf"denoising_unet\..*\.attn2\.{LAYERS}",
    "motion_modules": rf"denoising_unet\..*\.motion_modules\..*\.{LAYERS}",
}


def add_lora(model: TrainingModel, settings: LoRASettings, seed: int = 0) -> list[str]:
    """Freeze the model and put trainable adapters into the attention layers asked for; names of their parameters.

    Their start follows from `seed` alone, so it is the same in every process and every run.

    Raises
    ------
    SettingsError : peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise SettingsError(
            "lora.rank is set, but LoRA needs peft: pip install -r requirements-training.txt"
        ) from error
    model.requires_grad_(False)
    targets = "|".join(f"({PATHS[target]})" for target in settings.targets)
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model, ADAPTER)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def lora_tensors(parameters: dict[str, torch.Tensor], alpha: float) -> dict[str, torch.Tensor]:
    """Adapters by ComfyUI's names: `diffusion_model.denoising_unet.….lora_A.weight`, `lora_B.weight` and `alpha`."""
    tensors = {}
    for name, value in parameters.items():
        match = re.fullmatch(rf"(.+)\.(lora_[AB])\.{ADAPTER}\.weight", name)
        if match:
            tensors[f"{PREFIX}{match[1]}.{match[2]}.weight"] = value.detach().cpu().contiguous()
            tensors[f"{PREFIX}{match[1]}.alpha"] = torch.tensor(float(alpha))
    return tensors


def save_lora(path: Path, parameters: dict[str, torch.Tensor], settings: LoRASettings, dtype: torch.dtype) -> None:
    """Write the adapters to a .safetensors file for models/loras."""
    tensors = lora_tensors(parameters, settings.alpha)
    tensors = {n: t if n.endswith(".alpha") else t.to(dtype) for n, t in tensors.items()}
    write_tensors(path, tensors, {"format": "pt", "rank": str(settings.rank), "model": "EchoMimicV2"})

"""A model's own small VAE (`networks.block_vae`) as ComfyUI's: its TAESD, at the width of the file."""

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.taesd.taesd
import torch

from ..echomimic_core.config import PIXELS_PER_LATENT
from ..echomimic_core.files.names import BLOCK_ENCODER


def is_block_vae(weights: dict[str, torch.Tensor]) -> bool:
    return f"{BLOCK_ENCODER}.weight" in weights


def block_vae(weights: dict[str, torch.Tensor]) -> comfy.sd.VAE:
    """ComfyUI's VAE of a file's weights; KeyError or RuntimeError where they are not whole.

    ComfyUI knows TAESD 64 channels wide only, which would take four times as long: so it builds that one, and then its
    layers get the weights there are.
    """
    channels = weights[f"{BLOCK_ENCODER}.weight"].shape[0]
    vae = comfy.sd.VAE(sd=comfy.taesd.taesd.TAESD(latent_channels=channels).state_dict())
    network = comfy.taesd.taesd.TAESD(latent_channels=channels)
    network.taesd_encoder = comfy.ops.disable_weight_init.Conv2d(
        3, channels, PIXELS_PER_LATENT, stride=PIXELS_PER_LATENT
    )
    for name, _ in list(network.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        tensor = weights[name.replace("taesd_encoder", BLOCK_ENCODER)].to(vae.vae_dtype)
        setattr(network.get_submodule(owner), leaf, torch.nn.Parameter(tensor, requires_grad=False))
    vae.first_stage_model = network.eval()
    archive = getattr(comfy.model_management, "archive_model_dtypes", None)
    if archive is not None:  # Newer versions note what dtype each layer has
        archive(network)
    patcher = vae.patcher
    vae.patcher = type(patcher)(network, load_device=patcher.load_device, offload_device=patcher.offload_device)
    vae.size = None
    return vae

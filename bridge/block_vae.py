"""A model's own small VAE as ComfyUI's: its TAESD, at the width of the file, with TAESD's encoder or one of blocks."""

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.taesd.taesd
import torch

from ..echomimic_core.config import PIXELS_PER_LATENT
from ..echomimic_core.files.names import BLOCK_ENCODER
from ..echomimic_core.files.vae import TAESD_WIDTH


def is_own_vae(weights: dict[str, torch.Tensor]) -> bool:
    """Whether ComfyUI has no class for these weights: a `networks.block_vae`, or a TAESD of another width."""
    first = weights.get("taesd_decoder.1.weight")
    return f"{BLOCK_ENCODER}.weight" in weights or (first is not None and len(first) != TAESD_WIDTH)


class MissingWeightsError(Exception):
    """Weights of a VAE that are not in its file, by name."""

    def __init__(self, names: list[str]):
        super().__init__(f"{len(names)} weights are missing, first: {names[0]}")


def own_vae(weights: dict[str, torch.Tensor]) -> comfy.sd.VAE:
    """ComfyUI's VAE of a file's weights; MissingWeightsError or RuntimeError where they are not whole.

    ComfyUI knows TAESD 64 channels wide only, which would take four times as long: so it builds that one, and then its
    layers get the weights there are.
    """
    channels = weights["taesd_decoder.1.weight"].shape[1]
    vae = comfy.sd.VAE(sd=comfy.taesd.taesd.TAESD(latent_channels=channels).state_dict())
    network = comfy.taesd.taesd.TAESD(latent_channels=channels)
    blocks = f"{BLOCK_ENCODER}.weight" in weights
    if blocks:
        network.taesd_encoder = comfy.ops.disable_weight_init.Conv2d(
            3, channels, PIXELS_PER_LATENT, stride=PIXELS_PER_LATENT
        )
    stored = {name: name.replace("taesd_encoder", BLOCK_ENCODER) if blocks else name for name in network.state_dict()}
    missing = [name for name in stored.values() if name not in weights]
    if missing:
        raise MissingWeightsError(missing)
    for name, parameter in list(network.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        tensor = weights[stored[name]].to(vae.vae_dtype)
        if tensor.ndim != parameter.ndim or tensor.shape[2:] != parameter.shape[2:]:
            raise RuntimeError(f"{stored[name]} has the shape {tuple(tensor.shape)}")
        setattr(network.get_submodule(owner), leaf, torch.nn.Parameter(tensor, requires_grad=False))
    vae.first_stage_model = network.eval()
    archive = getattr(comfy.model_management, "archive_model_dtypes", None)
    if archive is not None:  # Newer versions note what dtype each layer has
        archive(network)
    patcher = vae.patcher
    vae.patcher = type(patcher)(network, load_device=patcher.load_device, offload_device=patcher.offload_device)
    vae.size = None
    return vae

"""The frozen VAE: pictures to scaled latents without, and latents to pictures with, a gradient."""

from pathlib import Path

import torch
from torch import nn

from ..config import LATENT_SCALE
from ..files.names import BLOCK_ENCODER
from ..files.vae import at_true_width, open_vae
from ..runtime import is_out_of_memory
from .block_vae import block_vae_of

# What SD 1.5's VAE is, in diffusers' words; its files differ only in their names.
SD15 = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
FRAMES_AT_ONCE = 8


class VAEError(ValueError):
    """The VAE cannot be used; the message says why and what to get."""


class FrozenVAE(nn.Module):
    """diffusers' AutoencoderKL or AutoencoderTiny, or a `BlockVAE`, between pictures in 0..1 and latents scaled by
    0.18215.

    Memory: few frames are encoded at a time, and decoding for a loss recomputes its activations.
    """

    def __init__(self, network: nn.Module, scale: float = LATENT_SCALE):
        super().__init__()
        self.network, self.scale = network.requires_grad_(False).eval(), scale
        if hasattr(network, "enable_gradient_checkpointing"):
            network.enable_gradient_checkpointing()
        # diffusers recomputes only what is in training mode; this VAE has no layer that behaves differently there
        network.train()

    @property
    def channels(self) -> int:
        """Of the latents."""
        return getattr(self.network, "channels", None) or self.network.config.latent_channels

    @torch.no_grad()
    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Scaled latents (n, 4, h, w), the mean of the posterior as at inference, of pictures (n, 3, H, W) in 0..1."""
        parts = []
        for chunk in pictures.split(FRAMES_AT_ONCE):
            encoded = self.network.encode(chunk * 2 - 1)
            latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
            parts.append(latents * self.scale)
        return torch.cat(parts)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, H, W) in about 0..1 of scaled latents (n, 4, h, w); the gradient passes through."""
        return self.network.decode(latents / self.scale).sample / 2 + 0.5


def load_vae(path: str | Path | None) -> FrozenVAE:
    """Read an SD 1.5 VAE (diffusers' or the original names), a TAESD or a `BlockVAE`: a file, a one-file
    model or a diffusers folder.

    Raises
    ------
    VAEError, CheckpointError : no path, no such file, or something else in it.
    """
    if path is None:
        raise VAEError("no VAE is given: set 'vae' to the file of sd-vae-ft-mse (diffusion_pytorch_model.safetensors)")
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("diffusion_pytorch_model.*"))
        if not found:
            raise VAEError(f"{path} contains no diffusion_pytorch_model file: give the VAE file itself")
        path = found[-1]
    try:
        import diffusers  # noqa: F401
    except ImportError as error:
        raise VAEError("the VAE needs diffusers: pip install -r requirements-training.txt") from error
    file, prefix = open_vae(path)
    weights = {name.removeprefix("first_stage_model."): tensor for name, tensor in file.state_dict(prefix).items()}
    weights = {name: tensor.float() for name, tensor in at_true_width(weights).items()}
    try:
        if f"{BLOCK_ENCODER}.weight" in weights:
            network = block_vae_of(weights)
            return FrozenVAE(network, LATENT_SCALE / network.scale)
        if any(name.startswith(("taesd_", "encoder.layers.", "decoder.layers.")) for name in weights):
            return FrozenVAE(taesd_of(weights), scale=1.0)
        return FrozenVAE(_kl(weights))
    except (RuntimeError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        raise VAEError(f"{path} is not a VAE of SD 1.5: {str(error).splitlines()[0]}") from error


def taesd_of(weights: dict[str, torch.Tensor]) -> nn.Module:
    """diffusers' AutoencoderTiny of a TAESD's weights, in its names or ComfyUI's, as wide as they are."""
    from diffusers import AutoencoderTiny

    renamed = {}
    for name, tensor in weights.items():
        if name.startswith("taesd_"):
            part, index, rest = name.removeprefix("taesd_").split(".", 2)
            # ComfyUI's decoder begins with a clamp that diffusers has outside of its list
            name = f"{part}.layers.{int(index) - (part == 'decoder')}.{rest}"
        if ".layers." in name:
            renamed[name] = tensor
    encoder, decoder = (renamed[f"{part}.layers.0.weight"].shape[0] for part in ("encoder", "decoder"))
    network = AutoencoderTiny(encoder_block_out_channels=(encoder,) * 4, decoder_block_out_channels=(decoder,) * 4)
    network.load_state_dict(renamed)
    return network


def _kl(weights: dict[str, torch.Tensor]) -> nn.Module:
    from diffusers import AutoencoderKL

    network = AutoencoderKL(**SD15)
    if "encoder.down.0.block.0.conv1.weight" in weights:
        from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

        weights = convert_ldm_vae_checkpoint(
            {f"first_stage_model.{name}": tensor for name, tensor in weights.items()}, dict(network.config)
        )
    # Names of old diffusers files
    for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
        weights = {name.replace(f".{old}.", f".{new}."): tensor for name, tensor in weights.items()}
    weights = {name: t[..., 0, 0] if "attentions" in name and t.ndim == 4 else t for name, t in weights.items()}
    network.load_state_dict(weights)
    return network

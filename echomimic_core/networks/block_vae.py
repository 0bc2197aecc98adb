"""A VAE whose encoder is one linear map of blocks of 8 x 8 pixels, which needs no training, before TAESD's decoder.

Files hold `block_encoder.*`, the decoder under ComfyUI's names `taesd_decoder.*` at any width, and `vae_scale`: the
latents in here are `vae_scale` times those of ComfyUI, as in a TAESD's file.
"""

from types import SimpleNamespace

import torch
from torch import nn

from ..config import PIXELS_PER_LATENT
from ..files.names import BLOCK_ENCODER

ENCODER, DECODER = BLOCK_ENCODER, "taesd_decoder"


class BlockVAE(nn.Module):
    """Speaks as diffusers' VAEs do: pictures (n, 3, H, W) in -1..1, latents (n, channels, H / 8, W / 8)."""

    def __init__(self, channels: int, width: int, scale: float = 1.0):
        from diffusers import AutoencoderTiny

        super().__init__()
        self.channels, self.scale = channels, scale
        self.block_encoder = nn.Conv2d(3, channels, PIXELS_PER_LATENT, stride=PIXELS_PER_LATENT)
        widths = (width,) * 4
        tiny = {"encoder_block_out_channels": (1,) * 4, "decoder_block_out_channels": widths}
        self.decoder = AutoencoderTiny(**tiny, latent_channels=channels).decoder

    def encode(self, pictures: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=self.block_encoder(pictures / 2 + 0.5))

    def decode(self, latents: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=self.decoder(latents))


def block_vae_of(weights: dict[str, torch.Tensor]) -> BlockVAE:
    """The VAE of a file's weights; KeyError or RuntimeError where they are not whole."""
    channels = weights[f"{ENCODER}.weight"].shape[0]
    vae = BlockVAE(channels, weights[f"{DECODER}.1.weight"].shape[0], float(weights["vae_scale"]))
    own = {}
    for name, tensor in weights.items():
        if name.startswith(DECODER):
            # ComfyUI's decoder begins with a clamp that diffusers has outside of its list
            _, index, rest = name.split(".", 2)
            own[f"decoder.layers.{int(index) - 1}.{rest}"] = tensor
        elif name.startswith(ENCODER):
            own[name] = tensor
    vae.load_state_dict(own)
    return vae


def weights_of(vae: BlockVAE, dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """What a file of it holds."""
    weights = {"vae_scale": torch.tensor(vae.scale), "vae_shift": torch.tensor(0.0)}
    for name, tensor in vae.state_dict().items():
        if name.startswith("decoder.layers."):
            index, rest = name.removeprefix("decoder.layers.").split(".", 1)
            name = f"{DECODER}.{int(index) + 1}.{rest}"
        weights[name] = tensor.detach().to("cpu", dtype).contiguous()
    return weights

"""Our layers in the order in which the original works, with the same weights and the same result.

Under guidance every block attends over [own, reference] tokens in both halves, the reference tokens being repeated for
every frame and projected there, then attends again in the unconditional half without them; audio keys and values are
projected in every evaluation, and attention to the zero audio of the unconditional half is computed.
"""

from dataclasses import dataclass

import torch

from echomimic_core.config import AUDIO_ATTENTION_SCALE
from echomimic_core.models.attention import DenoisingBlock
from echomimic_core.models.context import WindowContext
from echomimic_core.models.denoising_unet import DenoisingUNet


@dataclass
class OriginalContext(WindowContext):
    """What the original's blocks see: `tokens` of the reference and `features` of the audio, nothing projected.

    `tokens` holds for each block (1, n, channels), `features` is (samples, 50, 384), zero in the unconditional half.
    """

    tokens: list[torch.Tensor] | None = None
    features: torch.Tensor | None = None

    def run(self, block: DenoisingBlock, hidden: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return original_block(block, hidden, self)


def original_block(block: DenoisingBlock, hidden, context: WindowContext) -> torch.Tensor:
    options, plain = context.transformer_options, context.unconditional
    own = block.norm1(hidden)
    halves = 2 if plain else 1
    bank = context.tokens[block.index].repeat(halves, 1, 1)
    bank = bank.unsqueeze(1).repeat(1, len(hidden) // halves, 1, 1).flatten(0, 1)
    joined = torch.cat([own, bank], dim=1)
    attention = block.attn1
    attended = attention.to_out[0](attention.attend(attention.to_q(own), attention.keys_values(joined), options))
    attended = attended + hidden
    if plain:
        hidden_plain = attention(own[:plain], options) + hidden[:plain]
        attended = attended.clone()
        attended[:plain] = hidden_plain
    hidden = attended
    q = block.attn2.to_q(block.norm2(hidden))
    heard = block.attn2.attend(q, block.attn2.keys_values(context.features.to(q)), options)
    hidden = AUDIO_ATTENTION_SCALE * block.attn2.to_out[0](heard) + hidden
    return block.ff(block.norm3(hidden)) + hidden


def original_velocity(
    unet: DenoisingUNet,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    tokens: list[torch.Tensor],
    features: torch.Tensor,
    pose: torch.Tensor,
    guided: bool = True,
) -> torch.Tensor:
    """Velocity (halves * frames, 4, height, width) of one window, unconditional half first.

    Parameters
    ----------
    latents : (frames, 4, height, width), the same in both halves. pose : (frames, channels, height, width).
    tokens : of the reference, each (1, n, channels). features : (frames, 50, 384).
    """
    frames = len(latents)
    if guided:
        latents = torch.cat([latents, latents])
        features = torch.cat([torch.zeros_like(features), features])
        pose = torch.cat([torch.zeros_like(pose), pose])
    plain = frames if guided else 0
    context = OriginalContext(frames, plain, chunk_elements=None, tokens=tokens, features=features)
    hidden = unet.conv_in(latents) + pose
    return unet.finish(unet.run_levels(hidden, unet.embed_time(timesteps, latents), context), latents.shape[-2:])

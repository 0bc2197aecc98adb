"""Spatial transformers: reference self-attention, audio cross-attention, feed-forward (EchoMimicV2, figure 2)."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from ..config import AUDIO_ATTENTION_SCALE
from ..runtime import attention

GROUP_NORM_EPS = 1e-6

KeysValues = tuple[torch.Tensor, torch.Tensor]


@dataclass
class WindowContext:
    """What one forward pass of the denoising U-Net sees besides the noisy latents.

    The batch holds whole windows, the unconditional ones first. Those have plain self-attention and silent audio,
    so they need neither reference nor audio.

    Attributes
    ----------
    frames : frames in a window; the batch is a multiple of it.
    unconditional : leading samples (not windows) of the batch that belong to the unconditional half of guidance.
    reference : for each of the 16 transformer blocks the projected keys and values of the reference tokens,
        (r, tokens, channels), where r is 1 or divides the number of conditional samples; None for no reference.
    audio : for each block the projected keys and values of the audio tokens, (conditional samples, 50, channels);
        None for silence.
    audio_gain : per attention size (height, width) a factor on what audio attention adds, (1 or conditional samples,
        tokens, 1): APDH's reach and strength of audio. None is 1 everywhere.
    transformer_options : handed on to the attention backend.
    """

    frames: int
    unconditional: int = 0
    reference: list[KeysValues] | None = None
    audio: list[KeysValues] | None = None
    audio_gain: dict[tuple[int, int], torch.Tensor] | None = None
    transformer_options: dict = field(default_factory=dict)


class Attention(nn.Module):
    """Projections of multi-head attention, named as in the released files; no bias but on the output."""

    def __init__(self, channels: int, context_channels: int, heads: int, operations, **factory):
        super().__init__()
        self.heads = heads
        self.to_q = operations.Linear(channels, channels, bias=False, **factory)
        self.to_k = operations.Linear(context_channels, channels, bias=False, **factory)
        self.to_v = operations.Linear(context_channels, channels, bias=False, **factory)
        self.to_out = nn.ModuleList([operations.Linear(channels, channels, **factory)])

    def keys_values(self, tokens: torch.Tensor) -> KeysValues:
        return self.to_k(tokens), self.to_v(tokens)

    def attend(self, q: torch.Tensor, keys_values: KeysValues, transformer_options: dict) -> torch.Tensor:
        return attention(q, *keys_values, self.heads, transformer_options)

    def forward(self, hidden: torch.Tensor, transformer_options: dict | None = None) -> torch.Tensor:
        """Plain self-attention over (n, tokens, channels)."""
        return self.to_out[0](self.attend(self.to_q(hidden), self.keys_values(hidden), transformer_options or {}))


class GEGLU(nn.Module):
    def __init__(self, channels: int, inner: int, operations, **factory):
        super().__init__()
        self.proj = operations.Linear(channels, 2 * inner, **factory)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden, gate = self.proj(hidden).chunk(2, dim=-1)
        return hidden * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels: int, operations, **factory):
        super().__init__()
        inner = 4 * channels
        self.net = nn.ModuleList(
            [
                GEGLU(channels, inner, operations, **factory),
                nn.Identity(),
                operations.Linear(inner, channels, **factory),
            ]
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.net[2](self.net[0](hidden))


class ReferenceBlock(nn.Module):
    """Transformer block of the reference U-Net: self-attention and feed-forward; keeps what enters self-attention."""

    def __init__(self, index: int, channels: int, heads: int, operations, **factory):
        super().__init__()
        self.index = index
        self.norm1 = operations.LayerNorm(channels, **factory)
        self.attn1 = Attention(channels, channels, heads, operations, **factory)
        self.norm3 = operations.LayerNorm(channels, **factory)
        self.ff = FeedForward(channels, operations, **factory)

    def forward(
        self, hidden: torch.Tensor, size: tuple[int, int], kept_tokens: dict[int, torch.Tensor]
    ) -> torch.Tensor:
        tokens = self.norm1(hidden)
        # by index, so that recomputation under gradient checkpointing keeps nothing twice
        kept_tokens[self.index] = tokens
        hidden = hidden + self.attn1(tokens)
        return hidden + self.ff(self.norm3(hidden))


class DenoisingBlock(nn.Module):
    """Transformer block of the denoising U-Net: self-attention with the reference, audio attention, feed-forward."""

    def __init__(self, index: int, channels: int, audio_dim: int, heads: int, operations, **factory):
        super().__init__()
        self.index = index
        self.norm1 = operations.LayerNorm(channels, **factory)
        self.attn1 = Attention(channels, channels, heads, operations, **factory)
        self.norm2 = operations.LayerNorm(channels, **factory)
        self.attn2 = Attention(channels, audio_dim, heads, operations, **factory)
        self.norm3 = operations.LayerNorm(channels, **factory)
        self.ff = FeedForward(channels, operations, **factory)

    def forward(self, hidden: torch.Tensor, size: tuple[int, int], context: WindowContext) -> torch.Tensor:
        hidden = hidden + self.reference_attention(self.norm1(hidden), context)
        hidden = hidden + AUDIO_ATTENTION_SCALE * self.audio_attention(hidden, size, context)
        return hidden + self.ff(self.norm3(hidden))

    def reference_attention(self, tokens: torch.Tensor, context: WindowContext) -> torch.Tensor:
        """Self-attention whose keys and values are [own tokens, reference tokens] in the conditional half."""
        if context.reference is None:
            return self.attn1(tokens, context.transformer_options)
        q, k, v = self.attn1.to_q(tokens), *self.attn1.keys_values(tokens)
        plain = context.unconditional
        reference = context.reference[self.index]
        samples = len(tokens) - plain
        k_all, v_all = (
            torch.cat([own[plain:], spread(shared.to(own), samples)], dim=1)
            for own, shared in zip((k, v), reference, strict=True)
        )
        out = self.attn1.attend(q[plain:], (k_all, v_all), context.transformer_options)
        if plain:
            own_only = self.attn1.attend(q[:plain], (k[:plain], v[:plain]), context.transformer_options)
            out = torch.cat([own_only, out])
        return self.attn1.to_out[0](out)

    def audio_attention(self, hidden: torch.Tensor, size: tuple[int, int], context: WindowContext) -> torch.Tensor:
        """Cross-attention to the audio tokens.

        Over zero audio, as in the unconditional half, attention gives zero and only the output bias is left;
        a gain of 0 (APDH: audio does not reach here) gives the same.
        """
        output = self.attn2.to_out[0]
        if context.audio is None:
            return output(torch.zeros_like(hidden[:1, :1]))
        heard = hidden[context.unconditional :]
        q = self.attn2.to_q(self.norm2(heard))
        keys_values = tuple(x.to(q) for x in context.audio[self.index])
        out = self.attn2.attend(q, keys_values, context.transformer_options)
        if context.audio_gain is not None:
            out = out * context.audio_gain[size].to(out)
        if context.unconditional:
            silent = torch.zeros_like(hidden[: context.unconditional])
            out = torch.cat([silent, out])
        return output(out)


def spread(shared: torch.Tensor, samples: int) -> torch.Tensor:
    """Give each of `samples` samples its clip's row of `shared` (r, ...), samples of a clip being neighbours."""
    if len(shared) == 1:
        return shared.expand(samples, *shared.shape[1:])
    return shared.repeat_interleave(samples // len(shared), dim=0)


class SpatialTransformer(nn.Module):
    """One transformer block over the pixels of each sample (n, channels, height, width), with a residual around it."""

    def __init__(self, block: nn.Module, channels: int, groups: int, operations, **factory):
        super().__init__()
        self.norm = operations.GroupNorm(groups, channels, eps=GROUP_NORM_EPS, **factory)
        self.proj_in = operations.Conv2d(channels, channels, 1, **factory)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Conv2d(channels, channels, 1, **factory)

    def forward(self, hidden: torch.Tensor, context) -> torch.Tensor:
        size = tuple(hidden.shape[-2:])
        tokens = self.proj_in(self.norm(hidden)).flatten(2).transpose(1, 2)
        tokens = self.transformer_blocks[0](tokens, size, context)
        return hidden + self.proj_out(tokens.transpose(1, 2).unflatten(2, size))

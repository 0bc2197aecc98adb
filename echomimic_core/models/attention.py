"""Spatial transformers: reference self-attention, audio cross-attention, feed-forward (EchoMimicV2, figure 2)."""

import torch
from torch import nn

from ..config import AUDIO_ATTENTION_SCALE
from ..runtime import attention
from .context import BlockInputs, KeysValues
from .fused import add, add_norm, as_picture, as_tokens, geglu, group_norm
from .merged_reference import attend_with_reference

GROUP_NORM_EPS = 1e-6


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
        return geglu(self.proj(hidden))


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
    """Transformer block of the reference U-Net: self-attention and feed-forward."""

    def __init__(self, index: int, channels: int, heads: int, operations, **factory):
        super().__init__()
        self.index = index
        self.norm1 = operations.LayerNorm(channels, **factory)
        self.attn1 = Attention(channels, channels, heads, operations, **factory)
        self.norm3 = operations.LayerNorm(channels, **factory)
        self.ff = FeedForward(channels, operations, **factory)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(output, tokens that entered self-attention) for hidden states (n, tokens, channels)."""
        tokens = self.norm1(hidden)
        hidden, normed = add_norm(self.norm3, hidden, self.attn1(tokens))
        return add(hidden, self.ff(normed)), tokens


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

    def forward(self, hidden: torch.Tensor, inputs: BlockInputs) -> torch.Tensor:
        """Hidden states (samples, tokens, channels), of which the first `inputs.uncond` are unconditional."""
        hidden = add(hidden, self.reference_attention(hidden, inputs))
        heard = self.audio_attention(hidden, inputs)
        hidden, normed = add_norm(self.norm3, hidden, heard, AUDIO_ATTENTION_SCALE)
        return add(hidden, self.ff(normed))

    def reference_attention(self, hidden: torch.Tensor, inputs: BlockInputs) -> torch.Tensor:
        """Self-attention whose keys and values are [own tokens, reference tokens] in the conditional half."""
        tokens, options, uncond = self.norm1(hidden), inputs.transformer_options, inputs.uncond
        if inputs.reference is None:
            return self.attn1(tokens, options)

        def attend(q: torch.Tensor, keys_values: KeysValues) -> torch.Tensor:
            return self.attn1.attend(q, keys_values, options)

        q, k, v = self.attn1.to_q(tokens), *self.attn1.keys_values(tokens)
        out = attend_with_reference(attend, self.attn1.heads, q[uncond:], (k[uncond:], v[uncond:]), inputs.reference)
        if uncond:
            out = torch.cat([attend(q[:uncond], (k[:uncond], v[:uncond])), out])
        return self.attn1.to_out[0](out)

    def audio_attention(self, hidden: torch.Tensor, inputs: BlockInputs) -> torch.Tensor:
        """Cross-attention to the audio tokens.

        Over zero audio, as in the unconditional half, attention gives zero and only the output bias is left;
        a gain of 0 (APDH: audio does not reach here) gives the same.
        """
        output, uncond = self.attn2.to_out[0], inputs.uncond
        silent = output(torch.zeros_like(hidden[:1, :1]))
        if inputs.audio is None:
            return silent
        q = self.attn2.to_q(self.norm2(hidden[uncond:]))
        k, v = inputs.audio
        out = self.attn2.attend(q, (k.to(q), v.to(q)), inputs.transformer_options)
        if inputs.audio_gain is not None:
            out = out * inputs.audio_gain.to(out)
        out = output(out)
        return torch.cat([silent.expand(uncond, *out.shape[1:]), out]) if uncond else out


class SpatialTransformer(nn.Module):
    """One transformer block over the pixels of each sample (n, channels, height, width), with a residual around it.

    The context (`WindowContext`, `ReferenceContext`) runs the block.
    """

    def __init__(self, block: nn.Module, channels: int, groups: int, operations, **factory):
        super().__init__()
        self.norm = operations.GroupNorm(groups, channels, eps=GROUP_NORM_EPS, **factory)
        self.proj_in = operations.Conv2d(channels, channels, 1, **factory)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Conv2d(channels, channels, 1, **factory)

    def forward(self, hidden: torch.Tensor, context) -> torch.Tensor:
        size = tuple(hidden.shape[-2:])
        tokens = as_tokens(self.proj_in(group_norm(self.norm, hidden)))
        tokens = context.run(self.transformer_blocks[0], tokens, size)
        return add(hidden, self.proj_out(as_picture(tokens, size)))

"""Spatial transformers: reference self-attention, audio cross-attention, feed-forward (EchoMimicV2, figure 2)."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from ..config import AUDIO_ATTENTION_SCALE
from ..runtime import attention
from .chunks import CHUNK_ELEMENTS, in_chunks, rows_at_once
from .merged_reference import HEAD_PADDING, pad_heads, weighed_keys, weighing_queries

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
    merged_reference : each reference token of the largest maps stands for so many squared, see `sampling.speed`.
    chunk_elements : ceiling of a layer's intermediate tensors, see `chunks`; None for no ceiling.
    """

    frames: int
    unconditional: int = 0
    reference: list[KeysValues] | None = None
    audio: list[KeysValues] | None = None
    audio_gain: dict[tuple[int, int], torch.Tensor] | None = None
    transformer_options: dict = field(default_factory=dict)
    merged_reference: int = 1
    chunk_elements: int | None = CHUNK_ELEMENTS


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
        samples, plain = len(hidden), context.unconditional
        conditions = self.conditions(size, context, samples - plain)
        options = context.transformer_options
        at_once = rows_at_once(samples, FEED_FORWARD_GROWTH * hidden[0].numel(), context.chunk_elements)
        if at_once == samples:
            return self.attend_and_feed(hidden, conditions, plain, options)
        # one half of guidance at a time, so that no chunk is of both kinds
        out = torch.empty_like(hidden)
        if plain:
            out[:plain] = in_chunks(lambda x: self.attend_and_feed(x, SILENT, len(x), options), at_once, hidden[:plain])
        if plain < samples:
            out[plain:] = in_chunks(
                lambda x, *given: self.attend_and_feed(x, given, 0, options), at_once, hidden[plain:], *conditions
            )
        return out

    def conditions(self, size: tuple[int, int], context: WindowContext, samples: int) -> "Conditions":
        """What the conditional samples see in this block, each tensor of one row for all or one for each sample."""
        reference = audio = (None, None)
        gain = None
        if context.reference is not None:
            reference = (spread(x, samples) if len(x) > 1 else x for x in context.reference[self.index])
        if context.audio is not None:
            audio = context.audio[self.index]
            gain = None if context.audio_gain is None else context.audio_gain[size]
        if context.merged_reference > 1 and context.reference is not None:
            # merged tokens weigh as much as all that they stand for
            k, v = reference
            stands_for = round(size[0] * size[1] / k.shape[1])
            reference = (weighed_keys(k, self.attn1.heads, stands_for), pad_heads(v, self.attn1.heads))
        return (*reference, *audio, gain)

    def attend_and_feed(
        self, hidden: torch.Tensor, conditions: "Conditions", plain: int, options: dict
    ) -> torch.Tensor:
        """The block for samples of which the first `plain` are unconditional."""
        ref_k, ref_v, audio_k, audio_v, gain = conditions
        hidden = hidden + self.reference_attention(self.norm1(hidden), ref_k, ref_v, plain, options)
        hidden = hidden + AUDIO_ATTENTION_SCALE * self.audio_attention(hidden, audio_k, audio_v, gain, plain, options)
        return hidden + self.ff(self.norm3(hidden))

    def reference_attention(self, tokens, ref_k, ref_v, plain: int, options: dict) -> torch.Tensor:
        """Self-attention whose keys and values are [own tokens, reference tokens] in the conditional half."""
        if ref_k is None:
            return self.attn1(tokens, options)
        q, k, v = self.attn1.to_q(tokens), *self.attn1.keys_values(tokens)
        samples, heads = len(tokens) - plain, self.attn1.heads
        posed_q, posed_k, posed_v = q[plain:], k[plain:], v[plain:]
        weighed = ref_k.shape[-1] > k.shape[-1]
        if weighed:
            posed_q = weighing_queries(posed_q, heads)
            posed_k, posed_v = weighed_keys(posed_k, heads, 1), pad_heads(posed_v, heads)
        k_all, v_all = (
            torch.cat([own, shared.to(own).expand(samples, -1, -1)], dim=1)
            for own, shared in ((posed_k, ref_k), (posed_v, ref_v))
        )
        out = self.attn1.attend(posed_q, (k_all, v_all), options)
        if weighed:
            out = out.unflatten(-1, (heads, -1))[..., :-HEAD_PADDING].flatten(-2)
        if plain:
            own_only = self.attn1.attend(q[:plain], (k[:plain], v[:plain]), options)
            out = torch.cat([own_only, out])
        return self.attn1.to_out[0](out)

    def audio_attention(self, hidden, audio_k, audio_v, gain, plain: int, options: dict) -> torch.Tensor:
        """Cross-attention to the audio tokens.

        Over zero audio, as in the unconditional half, attention gives zero and only the output bias is left;
        a gain of 0 (APDH: audio does not reach here) gives the same.
        """
        output = self.attn2.to_out[0]
        silent = output(torch.zeros_like(hidden[:1, :1]))
        if audio_k is None:
            return silent
        q = self.attn2.to_q(self.norm2(hidden[plain:]))
        out = self.attn2.attend(q, (audio_k.to(q), audio_v.to(q)), options)
        if gain is not None:
            out = out * gain.to(out)
        out = output(out)
        return torch.cat([silent.expand(plain, *out.shape[1:]), out]) if plain else out


Conditions = tuple[torch.Tensor | None, ...]
"""Keys and values of the reference, keys and values of the audio, gain of the audio; None for what there is not."""

SILENT: Conditions = (None,) * 5

FEED_FORWARD_GROWTH = 8
"""Widest tensor of a transformer block over its input: GEGLU projects to two times four times the channels."""


def spread(shared: torch.Tensor, samples: int) -> torch.Tensor:
    """Give each of `samples` samples its clip's row of `shared` (r, ...), samples of a clip being neighbours."""
    if len(shared) == 1:
        return shared.expand(samples, *shared.shape[1:])
    return shared.repeat_interleave(samples // len(shared), dim=0)


"""Channels added to each head to carry a weight; kernels want heads in multiples of eight."""


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

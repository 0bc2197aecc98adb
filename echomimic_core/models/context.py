"""What flows next to the hidden states: `BlockInputs` for one transformer block, a context for a whole forward pass.

A context also runs the blocks: what makes them fit into memory or go faster (chunks, halves of guidance, merged
reference tokens) wraps them from here, so that a block's own `forward` is the method and nothing else.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from .chunks import CHUNK_ELEMENTS, pieces, rows_at_once
from .merged_reference import merged_keys_values

KeysValues = tuple[torch.Tensor, torch.Tensor]

FEED_FORWARD_GROWTH = 8
"""Widest tensor of a transformer block over its input: GEGLU projects to two times four times the channels."""


@dataclass(frozen=True)
class BlockInputs:
    """What one block of the denoising U-Net sees besides its hidden states (samples, tokens, channels).

    Attributes
    ----------
    reference : projected keys and values of the reference tokens, each (1 or cond samples, n, channels); None for no
        reference.
    audio : projected keys and values of the audio tokens, each (cond samples, 50, channels); None for silence.
    audio_gain : a factor on what audio attention adds, (1 or cond samples, tokens, 1); None is 1 everywhere.
    uncond : leading samples that belong to the unconditional half of guidance: they see neither.
    transformer_options : handed on to the attention backend.
    """

    reference: KeysValues | None = None
    audio: KeysValues | None = None
    audio_gain: torch.Tensor | None = None
    uncond: int = 0
    transformer_options: dict = field(default_factory=dict)

    def tensors(self) -> tuple[torch.Tensor | None, ...]:
        """Keys and values of reference and audio, and the gain: one row for all samples or one for each, or None."""
        return (*(self.reference or (None, None)), *(self.audio or (None, None)), self.audio_gain)

    def with_tensors(self, tensors: tuple[torch.Tensor | None, ...]) -> "BlockInputs":
        """The same for the samples of a chunk, all of them conditional."""
        reference_k, reference_v, audio_k, audio_v, gain = tensors
        reference = None if reference_k is None else (reference_k, reference_v)
        audio = None if audio_k is None else (audio_k, audio_v)
        return replace(self, reference=reference, audio=audio, audio_gain=gain, uncond=0)


@dataclass
class WindowContext:
    """What one forward pass of the denoising U-Net sees besides the noisy latents.

    The batch holds whole windows, the unconditional ones first. Those have plain self-attention and silent audio,
    so they need neither reference nor audio.

    Attributes
    ----------
    frames : frames per window; the batch is a multiple of it.
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

    def run(self, block: nn.Module, hidden: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Run a block over (samples, tokens, channels) of maps of `size`, some samples at a time where it must be.

        Without gradients, blocks change the hidden states in place.
        """
        inputs = self.block_inputs(block, size, samples=len(hidden) - self.unconditional)
        at_once = rows_at_once(len(hidden), FEED_FORWARD_GROWTH * hidden[0].numel(), self.chunk_elements)
        if at_once == len(hidden):
            return block(hidden, inputs)
        # One half of guidance at a time, so that no chunk holds samples of both.
        uncond = self.unconditional
        nothing = replace(inputs, reference=None, audio=None, audio_gain=None, uncond=0)
        for (part,) in pieces(at_once, hidden[:uncond]):
            block(part, nothing)
        for part, *tensors in pieces(at_once, hidden[uncond:], *inputs.tensors()):
            block(part, inputs.with_tensors(tuple(tensors)))
        return hidden

    def block_inputs(self, block: nn.Module, size: tuple[int, int], samples: int) -> BlockInputs:
        """What a block sees whose maps have `size` (height, width), for so many conditional samples."""
        reference = audio = gain = None
        if self.reference is not None:
            k, v = self.reference[block.index]
            if self.merged_reference > 1:
                k, v = merged_keys_values(k, v, block.attn1.heads, tokens=size[0] * size[1])
            reference = (k, v) if len(k) == 1 else (spread(k, samples), spread(v, samples))
        if self.audio is not None:
            audio = self.audio[block.index]
            gain = None if self.audio_gain is None else self.audio_gain[size]
        return BlockInputs(reference, audio, gain, self.unconditional, self.transformer_options)


@dataclass
class ReferenceContext:
    """The reference U-Net's pass over a picture, which keeps the tokens that enter each self-attention.

    Attributes
    ----------
    tokens : by index of the block, so that recomputation under gradient checkpointing keeps nothing twice.
    chunk_elements : no ceiling, one picture is small.
    """

    tokens: dict[int, torch.Tensor] = field(default_factory=dict)
    chunk_elements: None = None

    def run(self, block: nn.Module, hidden: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        hidden, self.tokens[block.index] = block(hidden)
        return hidden


def spread(shared: torch.Tensor, samples: int) -> torch.Tensor:
    """Give each of `samples` samples its clip's row of `shared` (r, ...), samples of a clip being neighbours."""
    if len(shared) == 1:
        return shared.expand(samples, *shared.shape[1:])
    return shared.repeat_interleave(samples // len(shared), dim=0)

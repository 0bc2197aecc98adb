"""The SD 1.5 backbone that the reference and the denoising U-Net share.

A level is a row of layers, each: resnet, then attention (all levels but the deepest), then motion (denoising U-Net
only). What attention and motion are is decided by the two factories handed in.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..config import ModelConfig
from .chunks import pieces, rows_at_once
from .patches import to_patches
from .resnet import Downsample, ResnetBlock, TimestepEmbedding, Upsample, timestep_embedding

LayerFactory = Callable[[int], nn.Module]


class Level(nn.Module):
    """Layers of one resolution; subclasses add what happens between levels."""

    gradient_checkpointing = False
    motion_enabled = True

    def __init__(self, resnets: list[nn.Module], attentions: list[nn.Module], motion_modules: list[nn.Module]):
        super().__init__()
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList(resnets)
        if motion_modules:
            self.motion_modules = nn.ModuleList(motion_modules)

    def layer(self, index: int, hidden: torch.Tensor, time_embedding, context, skip=None) -> torch.Tensor:
        """Run layer `index`: resnet (over `hidden` joined with `skip`), attention, motion, as far as there are."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._layer, index, hidden, time_embedding, context, skip, use_reentrant=False)
        return self._layer(index, hidden, time_embedding, context, skip)

    def _layer(self, index: int, hidden: torch.Tensor, time_embedding, context, skip) -> torch.Tensor:
        hidden = self.resnet(index, hidden, time_embedding, context, skip)
        return self.attend_and_move(index, hidden, context)

    def resnet(self, index: int, hidden: torch.Tensor, time_embedding, context, skip=None) -> torch.Tensor:
        def join_and_run(hidden, skip, time_embedding, out=None):
            joined = hidden if skip is None else torch.cat([hidden, skip], dim=1)
            return self.resnets[index](joined, time_embedding, out)

        elements = hidden[0].numel() + (0 if skip is None else skip[0].numel())
        at_once = rows_at_once(len(hidden), elements, context.chunk_elements)
        if at_once == len(hidden):
            return join_and_run(hidden, skip, time_embedding)
        out = self.resnets[index].empty_output(hidden)
        for part in pieces(at_once, hidden, skip, time_embedding, out):
            join_and_run(*part)
        return out

    def attend_and_move(self, index: int, hidden: torch.Tensor, context) -> torch.Tensor:
        layout = torch.contiguous_format if hidden.is_contiguous() else torch.channels_last
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        if hasattr(self, "attentions"):
            hidden = self.attentions[index](hidden, context)
        if self.motion_enabled and hasattr(self, "motion_modules"):
            hidden = self.motion_modules[index](hidden, context)
        return hidden.contiguous(memory_format=layout)


class DownLevel(Level):
    def __init__(self, *layers, downsample: Downsample | None):
        super().__init__(*layers)
        if downsample is not None:
            self.downsamplers = nn.ModuleList([downsample])

    def forward(self, hidden, time_embedding, context, skips: list[torch.Tensor]) -> torch.Tensor:
        for index in range(len(self.resnets)):
            hidden = self.layer(index, hidden, time_embedding, context)
            skips.append(hidden)
        if hasattr(self, "downsamplers"):
            hidden = self.downsamplers[0](hidden)
            skips.append(hidden)
        return hidden


class MiddleLevel(Level):
    """Resnet, attention, motion, resnet."""

    def forward(self, hidden, time_embedding, context) -> torch.Tensor:
        hidden = self.layer(0, hidden, time_embedding, context)
        return self.resnet(1, hidden, time_embedding, context)


class UpLevel(Level):
    def __init__(self, *layers, upsample: Upsample | None):
        super().__init__(*layers)
        if upsample is not None:
            self.upsamplers = nn.ModuleList([upsample])

    def forward(self, hidden, time_embedding, context, skips: list[torch.Tensor]) -> torch.Tensor:
        for index in range(len(self.resnets)):
            hidden = self.layer(index, hidden, time_embedding, context, skips.pop())
        if hasattr(self, "upsamplers"):
            hidden = self.upsamplers[0](hidden, skips[-1].shape[-2:])
        return hidden


class UNetBackbone(nn.Module):
    """Levels of the U-Net. `attention(channels)` and `motion(channels)` build a layer; `motion` may be None."""

    def __init__(
        self, config: ModelConfig, attention: LayerFactory, motion: LayerFactory | None, operations, **factory
    ):
        super().__init__()
        self.config = config
        channels = config.block_out_channels
        time_channels, groups, depth = config.time_embed_dim, config.norm_num_groups, config.layers_per_block
        last = len(channels) - 1

        def row(widths_in: list[int], width: int, attends: bool, moves: bool = True) -> tuple[list, list, list]:
            resnets = [ResnetBlock(w, width, time_channels, groups, operations, **factory) for w in widths_in]
            layers = len(widths_in)
            return (
                resnets,
                [attention(width) for _ in range(layers)] if attends else [],
                [motion(width) for _ in range(layers)] if motion and moves else [],
            )

        in_channels = config.latent_channels * config.patch**2
        self.conv_in = operations.Conv2d(in_channels, channels[0], 3, padding=1, **factory)
        self.time_embedding = TimestepEmbedding(channels[0], time_channels, operations, **factory)

        self.down_blocks = nn.ModuleList()
        skips = [channels[0]]
        for level, width in enumerate(channels):
            downsample = Downsample(width, operations, **factory) if level < last else None
            widths_in = [skips[-1]] + [width] * (depth - 1)
            self.down_blocks.append(DownLevel(*row(widths_in, width, level < last), downsample=downsample))
            skips += [width] * (depth + (downsample is not None))

        width = channels[-1]
        resnets, _, _ = row([width, width], width, attends=False, moves=False)
        self.mid_block = MiddleLevel(resnets, [attention(width)], [motion(width)] if motion else [])

        self.up_blocks = nn.ModuleList()
        for level, width_out in enumerate(reversed(channels)):
            widths_in = [(width if index == 0 else width_out) + skips.pop() for index in range(depth + 1)]
            upsample = Upsample(width_out, operations, **factory) if level < last else None
            self.up_blocks.append(UpLevel(*row(widths_in, width_out, level > 0), upsample=upsample))
            width = width_out

    @property
    def dtype(self) -> torch.dtype:
        return self.conv_in.weight.dtype

    def set_gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trade compute for memory in training: recompute each layer's activations in the backward pass."""
        for module in self.modules():
            if isinstance(module, Level):
                module.gradient_checkpointing = enabled

    def set_motion(self, enabled: bool = True) -> None:
        """Run motion modules or pass them by, as the first stage of training does with single pictures."""
        for module in self.modules():
            if isinstance(module, Level):
                module.motion_enabled = enabled

    def first(self, latents: torch.Tensor) -> torch.Tensor:
        """Output of the first convolution for latents (n, c, h, w), one cell per patch."""
        return self.conv_in(to_patches(latents, self.config.patch))

    def embed_time(self, timesteps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return self.time_embedding(timestep_embedding(timesteps, self.config.block_out_channels[0]).to(like))

    def run_levels(self, hidden: torch.Tensor, time_embedding: torch.Tensor, context) -> torch.Tensor:
        """From the output of `conv_in` to the last up level, both (n, channels, height, width)."""
        skips = [hidden]
        for block in self.down_blocks:
            hidden = block(hidden, time_embedding, context, skips)
        hidden = self.mid_block(hidden, time_embedding, context)
        for block in self.up_blocks:
            hidden = block(hidden, time_embedding, context, skips)
        return hidden

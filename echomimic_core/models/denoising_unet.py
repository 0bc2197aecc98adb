"""Denoising U-Net (EchoMimicV2, figure 2): noisy latents, hand pose, reference and audio in, velocity out.

A model whose `ModelConfig.output` is "clean" predicts clean latents in its place.

Each of its layers is: resnet -> self-attention over [own, reference] tokens -> audio cross-attention -> feed-forward
-> motion module over the frames of the window. The pose features are added right after the first convolution.
"""

import torch

from ..config import ModelConfig
from ..runtime import TorchOperations
from .attention import DenoisingBlock, SpatialTransformer
from .context import KeysValues, WindowContext
from .fused import add, group_norm
from .motion import MotionModule
from .patches import from_patches
from .resnet import NORM_EPS
from .unet import UNetBackbone


class DenoisingUNet(UNetBackbone):
    def __init__(self, config: ModelConfig, dtype=None, device=None, operations=TorchOperations):
        factory = {"operations": operations, "dtype": dtype, "device": device}
        heads, groups = config.attention_heads, config.norm_num_groups
        blocks: list[DenoisingBlock] = []

        def attention(channels: int) -> SpatialTransformer:
            blocks.append(DenoisingBlock(len(blocks), channels, config.audio_dim, heads, **factory))
            return SpatialTransformer(blocks[-1], channels, groups, **factory)

        def motion(channels: int) -> MotionModule:
            return MotionModule(channels, heads, groups, **factory)

        super().__init__(config, attention, motion, **factory)
        first = config.block_out_channels[0]
        self.conv_norm_out = operations.GroupNorm(groups, first, eps=NORM_EPS, dtype=dtype, device=device)
        out_channels = config.latent_channels * config.patch**2
        self.conv_out = operations.Conv2d(first, out_channels, 3, padding=1, dtype=dtype, device=device)

    def transformer_blocks(self) -> list[DenoisingBlock]:
        """The 16 transformer blocks in the order down, middle, up, which is that of the reference tokens."""
        blocks = [module for module in self.modules() if isinstance(module, DenoisingBlock)]
        return sorted(blocks, key=lambda block: block.index)

    def project_reference(self, tokens: list[torch.Tensor]) -> list[KeysValues]:
        """Keys and values of the reference tokens (pictures, n, channels) of each block; the same at every step."""
        blocks = self.transformer_blocks()
        if len(tokens) != len(blocks):
            raise ValueError(f"the reference has {len(tokens)} token maps, but this model has {len(blocks)} blocks")
        return [block.attn1.keys_values(x) for block, x in zip(blocks, tokens, strict=True)]

    def project_audio(self, features: torch.Tensor) -> list[KeysValues]:
        """Keys and values of audio features (..., 384) in each block; the same at every step."""
        return [block.attn2.keys_values(features) for block in self.transformer_blocks()]

    def forward(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        context: WindowContext,
        pose_features: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict what `config.output` says for a batch of windows.

        Parameters
        ----------
        latents : (samples, c, height, width), frames of a window being neighbours, unconditional windows first.
        timesteps : (1,) or (samples,), in [0, 1000).
        context : reference, audio and layout of the batch.
        pose_features : (conditional samples, channels, height, width) from the pose encoder; None for no pose.

        Returns
        -------
        velocity or clean latents : (samples, c, height, width).
        """
        hidden = self.enter(latents, context, pose_features)
        hidden = self.run_levels(hidden, self.embed_time(timesteps, latents), context)
        return self.finish(hidden, latents.shape[-2:])

    def enter(self, latents: torch.Tensor, context: WindowContext, pose_features: torch.Tensor | None) -> torch.Tensor:
        """Output of the first convolution, with the pose added in the conditional half."""
        hidden = self.first(latents)
        if pose_features is None:
            return hidden
        uncond = context.unconditional
        cond = add(hidden[uncond:], pose_features.to(hidden))
        return torch.cat([hidden[:uncond], cond]) if torch.is_grad_enabled() else hidden

    def with_deep_features(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        context: WindowContext,
        pose_features: torch.Tensor | None = None,
        deep: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(prediction, deep features): as `forward`, but for what enters the very last layer.

        That changes little from one step to the next. Where it is given, only the first convolution and the last layer
        are run on it (DeepCache, arXiv 2312.00858): an approximation at an eighth of the work.
        """
        entered = self.enter(latents, context, pose_features)
        time_embedding = self.embed_time(timesteps, latents)
        last_level = self.up_blocks[-1]
        last_layer = len(last_level.resnets) - 1
        if deep is None:
            skips = [entered]
            hidden = entered
            for block in self.down_blocks:
                hidden = block(hidden, time_embedding, context, skips)
            hidden = self.mid_block(hidden, time_embedding, context)
            for block in self.up_blocks[:-1]:
                hidden = block(hidden, time_embedding, context, skips)
            for index in range(last_layer):
                hidden = last_level.layer(index, hidden, time_embedding, context, skips.pop())
            deep = hidden
        last = last_level.layer(last_layer, deep, time_embedding, context, entered)
        return self.finish(last, latents.shape[-2:]), deep

    def finish(self, hidden: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """The prediction, of a size in latents, from the output of the last level."""
        return from_patches(self.conv_out(group_norm(self.conv_norm_out, hidden, silu=True)), self.config.patch, size)

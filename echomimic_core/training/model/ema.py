"""Exponential moving average of the trained weights: what is exported and sampled from."""

from contextlib import contextmanager

import torch
from torch import nn

from ..run.sharding import copy_into


class EMA:
    """Averages of a model's trained parameters, float32, on their device; a process has those of its shards.

    decay : reached from below, min(decay, (1 + step) / (10 + step)), so that short runs are not held at their start.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.shadow = {name: p.detach().clone().float() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step number `step`, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in model.named_parameters():
            if name in self.shadow:
                self.shadow[name].lerp_(parameter.detach().float(), 1.0 - decay)

    @torch.no_grad()
    def load(self, averages: dict[str, torch.Tensor]) -> None:
        """Take over the averages, whole tensors, of a checkpoint."""
        for name, tensor in self.shadow.items():
            copy_into(tensor, averages[name])

    @contextmanager
    @torch.no_grad()
    def in_place(self, model: nn.Module):
        """The averages inside the model for the length of a `with` block; the trained weights come back after."""
        parameters = {name: p for name, p in model.named_parameters() if name in self.shadow}
        trained = {name: p.detach().clone() for name, p in parameters.items()}
        try:
            for name, parameter in parameters.items():
                parameter.copy_(self.shadow[name])
            yield
        finally:
            for name, parameter in parameters.items():
                parameter.copy_(trained[name])

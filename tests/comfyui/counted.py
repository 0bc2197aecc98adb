"""Counted while they are entered: copies of a clip's latents, and numbers that are read from tensors."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class ClipLatents(TorchDispatchMode):
    """The most copies of a clip's latents alive at once, among tensors of so many frames that operations make."""

    def __init__(self, frames: int, height: int, width: int):
        super().__init__()
        from benchmarks.counting import LiveBytes

        self.live = LiveBytes()
        self.frames, self.size = frames, (height, width)

    @property
    def copies(self) -> float:
        return self.live.peak / (self.frames * 4 * self.size[0] * self.size[1] * 4)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        given = {x.untyped_storage()._cdata for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)}
        for x in tree_iter(out):
            if isinstance(x, torch.Tensor) and x.shape[-2:] == self.size and self.frames in x.shape[:2]:
                self.live.follow(x.untyped_storage(), given)
        return out


class Reads(TorchFunctionMode):
    """How often a number is read from a tensor, for which a GPU has to finish all it was given to do."""

    READING = {"item", "tolist", "__float__", "__int__", "__bool__", "__index__"}

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += getattr(function, "__name__", "") in self.READING
        return function(*args, **(kwargs or {}))

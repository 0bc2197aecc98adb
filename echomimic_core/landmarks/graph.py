"""A published TFLite network as a torch module: a list of operators in the file's metadata, and its weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..runtime import TorchOperations
from . import one_pass

FORMAT = "echomimicv2-landmarks"
_LAYERS = ("conv", "linear", "slopes")


class Slopes(nn.Module):
    """A leaky ReLU with one slope a channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.prelu(x, self.weight)


class Graph(nn.Module):
    """Operators run one after the other on NCHW tensors of any batch size, in float32 and differentiable.

    Parameters
    ----------
    description : what the converter wrote: `size` of the square input, `range` of its values, `operators`, and
        `outputs`, the places of the results. Each operator is [name, place of the result, places of the inputs,
        options].
    operations : namespace of layers, as `runtime.TorchOperations`.
    """

    def __init__(self, description: dict, operations=TorchOperations, device=None, dtype=torch.float32):
        super().__init__()
        self.size: int = description["size"]
        self.range: tuple[float, float] = tuple(description["range"])
        self.outputs: list[int] = description["outputs"]
        self.layers = nn.ModuleDict()
        self.steps = []
        for name, to, places, options in description["operators"]:
            if name not in _RUN:
                raise ValueError(f"there is no operator {name!r}; there are {', '.join(_RUN)}")
            if name in _LAYERS:
                self.layers[str(to)] = _layer(name, options, operations, device, dtype)
            self.steps.append((name, to, places, options))
        self._plans: dict[tuple[int, ...], list] = {}
        self._laid_out: dict[int, torch.Tensor] = {}

    def forward(self, pictures: torch.Tensor, wanted: tuple[int, ...] | None = None) -> list[torch.Tensor]:
        """Results of (batch, 3, size, size) pictures whose values lie in `range`, one tensor an output.

        wanted : indices of the outputs to compute; what only others need is left out. None computes all.
        """
        return self._run(pictures, None, wanted)[0]

    def with_features(self, pictures: torch.Tensor, cells: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The results, and of the maps in between the last one of (batch, channels, cells, cells)."""
        return self._run(pictures, cells)

    def _run(
        self, pictures: torch.Tensor, cells: int | None, wanted: tuple[int, ...] | None = None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        values, maps = {0: pictures}, None
        outputs = self.outputs if wanted is None else [self.outputs[index] for index in wanted]
        fast = pictures.device.type == "cpu" and not torch.is_grad_enabled() and one_pass.available()
        for (name, to, places, options), done in self._plan(tuple(outputs)):
            inputs = [values[place] for place in places]
            for place in done:
                del values[place]
            layer = self.layers[str(to)] if name in _LAYERS else None
            run = self._convolve if fast and name == "conv" else _RUN[name]
            values[to] = run(layer, inputs, options)
            if values[to].ndim == 4 and values[to].shape[-1] == cells:
                maps = values[to]
        return [values[place] for place in outputs], maps

    def _convolve(self, layer: nn.Conv2d, inputs: list[torch.Tensor], options: dict) -> torch.Tensor:
        """As `_conv`, in one pass; the weights never change, so they are laid out once."""
        weights = self._laid_out.get(id(layer))
        if weights is None:
            weights = self._laid_out[id(layer)] = one_pass.lay_out(layer, inputs[0])
        return one_pass.convolve(weights, layer, inputs[0], options.get("act"))

    def _plan(self, outputs: tuple[int, ...]) -> list[tuple]:
        """The steps that the outputs need, each with the places that nobody reads afterwards."""
        if outputs not in self._plans:
            needed, steps = set(outputs), []
            for step in reversed(self.steps):
                if step[1] in needed:
                    needed.update(step[2])
                    steps.insert(0, step)
            self._plans[outputs] = list(zip(steps, _last_uses(steps, outputs), strict=True))
        return self._plans[outputs]


def load_graph(path: str | Path, operations=TorchOperations, device=None) -> Graph:
    """The network of a converted file, in float32, without gradients to its weights.

    Raises
    ------
    ValueError : the file is not a converted network.
    """
    from ..files.tensor_file import TensorFile

    file = TensorFile(path)
    if file.metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is not a converted landmark network: restore the file that came with this pack")
    graph = Graph(json.loads(file.metadata["graph"]), operations, device)
    graph.load_state_dict({name: value.float() for name, value in _unpacked(file.state_dict()).items()})
    return graph.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def packed(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """A weight as it goes into the file: one that is zero in most places as its other values and where they are."""
    there = weight != 0
    if there.float().mean() > 0.5:
        return {name: weight}
    bits = np.packbits(there.numpy().reshape(-1))
    return {
        f"{name}.values": weight[there],
        f"{name}.where": torch.from_numpy(bits),
        f"{name}.shape": torch.tensor(weight.shape),
    }


def _unpacked(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    dense = {name: value for name, value in tensors.items() if not name.endswith((".values", ".where", ".shape"))}
    for key in tensors:
        if key.endswith(".shape"):
            name = key.removesuffix(".shape")
            weight = torch.zeros(tensors[key].tolist(), dtype=tensors[f"{name}.values"].dtype)
            bits = np.unpackbits(tensors[f"{name}.where"].numpy(), count=weight.numel())
            weight[torch.from_numpy(bits).bool().reshape(weight.shape)] = tensors[f"{name}.values"]
            dense[name] = weight
    return dense


def _layer(name: str, options: dict, operations, device, dtype) -> nn.Module:
    if name == "conv":
        return operations.Conv2d(
            options["in"],
            options["out"],
            options["kernel"],
            stride=options["stride"],
            padding=options["padding"],
            groups=options["groups"],
            bias=options["bias"],
            device=device,
            dtype=dtype,
        )
    if name == "linear":
        return operations.Linear(options["in"], options["out"], bias=options["bias"], device=device, dtype=dtype)
    return Slopes(options["channels"])


def _last_uses(steps: Sequence, outputs: Sequence[int]) -> list[list[int]]:
    """For each step the places that nobody reads afterwards, so that their memory can go."""
    last = {place: index for index, (_, _, places, _) in enumerate(steps) for place in places}
    return [
        [place for place in set(step[2]) if last[place] == i and place not in outputs] for i, step in enumerate(steps)
    ]


def _activate(x: torch.Tensor, kind: str | None) -> torch.Tensor:
    if kind == "relu":
        return F.relu_(x)
    if kind == "relu6":
        return F.hardtanh_(x, 0.0, 6.0)
    return x


def _conv(layer, inputs, options):
    return _activate(layer(inputs[0]), options.get("act"))


def _linear(layer, inputs, options):
    return _activate(layer(inputs[0].flatten(1)), options.get("act"))


def _add(_, inputs, options):
    a, b = inputs
    if a.shape[1] < b.shape[1]:
        # A shortcut with fewer channels than the branch counts as zero in the others.
        a = F.pad(a, (0, 0, 0, 0, 0, b.shape[1] - a.shape[1]))
    return _activate(a + b, options.get("act"))


def _tokens(_, inputs, options):
    """(batch, anchors * values, h, w) to (batch, h * w * anchors, values)."""
    return inputs[0].permute(0, 2, 3, 1).reshape(len(inputs[0]), -1, options["values"])


def _depth_to_space(_, inputs, options):
    b = options["block"]
    n, c, h, w = inputs[0].shape
    # TFLite counts the block before the channels, torch's pixel_shuffle after them.
    x = inputs[0].reshape(n, b, b, c // b**2, h, w)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


_RUN = {
    "conv": _conv,
    "linear": _linear,
    "slopes": lambda layer, inputs, _: layer(inputs[0]),
    "add": _add,
    "relu": lambda _, inputs, __: F.relu(inputs[0]),
    "sigmoid": lambda _, inputs, __: inputs[0].sigmoid(),
    "pool": lambda _, inputs, __: F.max_pool2d(inputs[0], 2),
    "mean": lambda _, inputs, __: inputs[0].mean((2, 3)),
    "resize": lambda _, inputs, options: F.interpolate(inputs[0], size=options["size"], mode="bilinear"),
    "tokens": _tokens,
    "concat": lambda _, inputs, __: torch.cat(inputs, 1),
    "flatten": lambda _, inputs, __: inputs[0].permute(0, 2, 3, 1).flatten(1) if inputs[0].ndim == 4 else inputs[0],
    "depth_to_space": _depth_to_space,
}

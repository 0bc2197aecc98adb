"""From MediaPipe's TFLite files to the networks in `weights/`; run once, with the package `tflite` installed.

    python -m pip download --no-deps mediapipe==0.10.21
    python -m echomimic_core.landmarks.convert mediapipe-0.10.21-*.whl

Weights stay as published (float16). Padding becomes part of the convolution that follows it, channels that a shortcut
lacks are added where it is added, and sparse weights are filled up.
"""

import argparse
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from .graph import FORMAT, packed
from .networks import NETWORKS, WEIGHTS

_ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}
_TYPES = {0: np.float32, 1: np.float16, 2: np.int32}


class _Model:
    """A TFLite file's one graph: its constants, densified, and its operators by name."""

    def __init__(self, content: bytes):
        import tflite

        self.tflite = tflite
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        names = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
        self.constants = {}
        for index in range(self.graph.TensorsLength()):
            tensor = self.graph.Tensors(index)
            buffer = self.model.Buffers(tensor.Buffer())
            if buffer.DataLength():
                values = np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[tensor.Type()])
                sparse = tensor.Sparsity() is not None
                self.constants[index] = self._dense(tensor, values) if sparse else values.reshape(self.shape(index))
        self.operators = []
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            name = names[self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
            inputs = [int(place) for place in operator.InputsAsNumpy() if place >= 0]
            self.operators.append((name, operator, inputs, int(operator.Outputs(0))))

    def shape(self, index: int) -> list[int]:
        tensor = self.graph.Tensors(index)
        return [int(size) for size in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []

    def options(self, operator, kind: str):
        options = getattr(self.tflite, kind)()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _dense(self, tensor, values: np.ndarray) -> np.ndarray:
        """A sparse tensor filled up: its levels are dimensions, then blocks of them, each dense or compressed."""
        sparsity, shape = tensor.Sparsity(), tensor.ShapeAsNumpy()
        order = sparsity.TraversalOrderAsNumpy()
        blocks = sparsity.BlockMapAsNumpy() if sparsity.BlockMapLength() else np.array([], int)
        levels = [sparsity.DimMetadata(index) for index in range(sparsity.DimMetadataLength())]
        block_sizes = np.ones(len(shape), int)
        for index, dimension in enumerate(blocks):
            block_sizes[dimension] = levels[len(shape) + index].DenseSize()
        strides = [block_sizes[level] if level < len(shape) else 1 for level in order]
        axes = [level if level < len(shape) else blocks[level - len(shape)] for level in order]
        dense, remaining = np.zeros(shape, values.dtype), iter(values)

        def fill(level: int, position: list[int], parent: int) -> None:
            if level == len(levels):
                dense[tuple(position)] = next(remaining)
                return
            meta = levels[level]
            if meta.Format() == 0:
                size = meta.DenseSize()
                children = [(index, parent * size + index) for index in range(size)]
            else:
                segments, indices = self._integers(meta, "Segments"), self._integers(meta, "Indices")
                children = [(int(indices[k]), k) for k in range(segments[parent], segments[parent + 1])]
            for index, child in children:
                inner = list(position)
                inner[axes[level]] += index * strides[level]
                fill(level + 1, inner, child)

        fill(0, [0] * len(shape), 0)
        return dense

    def _integers(self, meta, which: str) -> np.ndarray:
        kinds = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
        vector = getattr(self.tflite, kinds[getattr(meta, f"Array{which}Type")()])()
        table = getattr(meta, f"Array{which}")()
        vector.Init(table.Bytes, table.Pos)
        return vector.ValuesAsNumpy()


class _Converter:
    """Writes a model's operators as `graph.Graph` reads them, and collects their weights."""

    def __init__(self, model: _Model):
        self.model = model
        self.weights: dict[str, torch.Tensor] = {}
        self.operators: list = []
        self.places = {int(model.graph.Inputs(0)): 0}
        self.constants = dict(model.constants)
        # Results that are an earlier one and a padding: (place of the earlier one, [[before, after]] by NHWC axis).
        self.padded: dict[int, tuple[int, list]] = {}
        for name, operator, inputs, output in model.operators:
            if name in ("DEQUANTIZE", "DENSIFY"):
                self.constants[output] = self.constants[inputs[0]]
            else:
                getattr(self, f"_{name.lower()}")(operator, inputs, output)

    def description(self, values: tuple[float, float]) -> dict:
        graph = self.model.graph
        outputs = [self.places[int(graph.Outputs(index))] for index in range(graph.OutputsLength())]
        size = self.model.shape(int(graph.Inputs(0)))[1]
        return {"size": size, "range": values, "operators": self.operators, "outputs": outputs}

    def _add_operator(self, name: str, output: int, inputs: list[int], **options) -> int:
        place = len(self.operators) + 1
        self.places[output] = place
        options = {key: value for key, value in options.items() if value is not None}
        self.operators.append([name, place, [self.places[index] for index in inputs], options])
        return place

    def _layer_weights(self, place: int, weight: np.ndarray, bias: int | None) -> None:
        self.weights |= packed(f"layers.{place}.weight", _half(weight))
        if bias is not None:
            self.weights[f"layers.{place}.bias"] = _half(self.constants[bias])

    def _bias(self, inputs: list[int]) -> int | None:
        """The constant that is added, where it is not all zero."""
        return inputs[2] if len(inputs) > 2 and self.constants[inputs[2]].any() else None

    def _conv_2d(self, operator, inputs, output):
        self._convolution(self.model.options(operator, "Conv2DOptions"), inputs, output, depthwise=False)

    def _depthwise_conv_2d(self, operator, inputs, output):
        self._convolution(self.model.options(operator, "DepthwiseConv2DOptions"), inputs, output, depthwise=True)

    def _convolution(self, options, inputs, output, depthwise: bool):
        source, weight, bias = inputs[0], self.constants[inputs[1]], self._bias(inputs)
        kernel, stride = weight.shape[1:3], options.StrideH()
        assert options.DilationHFactor() == 1 and stride == options.StrideW(), "dilated or uneven convolution"
        padding = [[0, 0], [0, 0]]
        if source in self.padded:
            source, around = self.padded[source]
            padding = around[1:3]
        if options.Padding() == 0:
            sizes = self.model.shape(source)[1:3]
            padding = [_same(size, k, stride) for size, k in zip(sizes, kernel, strict=True)]
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        # Torch pads both sides alike: where TFLite pads the far side more, the kernel gets a row or column of zeros.
        weight = np.pad(weight, [(0, 0), (0, 0), *((end - begin, 0) for begin, end in padding)])
        place = self._add_operator(
            "conv",
            output,
            [source],
            **{"in": weight.shape[0] if depthwise else weight.shape[1]},
            out=weight.shape[0],
            kernel=list(weight.shape[2:]),
            stride=stride,
            padding=[end for _, end in padding],
            groups=weight.shape[0] if depthwise else 1,
            bias=bias is not None,
            act=_ACTIVATIONS[options.FusedActivationFunction()],
        )
        self._layer_weights(place, weight, bias)

    def _fully_connected(self, operator, inputs, output):
        weight, bias = self.constants[inputs[1]], self._bias(inputs)
        act = _ACTIVATIONS[self.model.options(operator, "FullyConnectedOptions").FusedActivationFunction()]
        sizes = {"in": weight.shape[1], "out": weight.shape[0]}
        place = self._add_operator("linear", output, inputs[:1], **sizes, bias=bias is not None, act=act)
        self._layer_weights(place, weight, bias)

    def _prelu(self, operator, inputs, output):
        slopes = self.constants[inputs[1]].reshape(-1)
        place = self._add_operator("slopes", output, inputs[:1], channels=len(slopes))
        self.weights[f"layers.{place}.weight"] = _half(slopes)

    def _pad(self, operator, inputs, output):
        self.padded[output] = (inputs[0], self.constants[inputs[1]].tolist())

    def _add(self, operator, inputs, output):
        act = _ACTIVATIONS[self.model.options(operator, "AddOptions").FusedActivationFunction()]
        shortcuts = [index for index in inputs if index in self.padded]
        others = [index for index in inputs if index not in self.padded]
        self._add_operator("add", output, [self.padded[index][0] for index in shortcuts] + others, act=act)

    def _max_pool_2d(self, operator, inputs, output):
        options = self.model.options(operator, "Pool2DOptions")
        assert options.FilterHeight() == options.StrideH() == 2, "pooling of another size than 2"
        self._add_operator("pool", output, inputs)

    def _resize_bilinear(self, operator, inputs, output):
        assert self.model.options(operator, "ResizeBilinearOptions").HalfPixelCenters(), "resizing by corners"
        self._add_operator("resize", output, inputs[:1], size=self.constants[inputs[1]].tolist())

    def _reshape(self, operator, inputs, output):
        shape = self.model.shape(output)
        if len(shape) == 3:
            self._add_operator("tokens", output, inputs[:1], values=shape[-1])
        else:
            self._add_operator("flatten", output, inputs[:1])

    def _concatenation(self, operator, inputs, output):
        assert self.model.options(operator, "ConcatenationOptions").Axis() == 1, "concatenation of channels"
        self._add_operator("concat", output, inputs)

    def _mean(self, operator, inputs, output):
        self._add_operator("mean", output, inputs[:1])

    def _relu(self, operator, inputs, output):
        self._add_operator("relu", output, inputs)

    def _logistic(self, operator, inputs, output):
        self._add_operator("sigmoid", output, inputs)

    def _depth_to_space(self, operator, inputs, output):
        block = self.model.options(operator, "DepthToSpaceOptions").BlockSize()
        self._add_operator("depth_to_space", output, inputs, block=block)


def _same(size: int, kernel: int, stride: int) -> list[int]:
    """TFLite's SAME padding: the odd pixel goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return [total // 2, total - total // 2]


def _half(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float16, order="C"))


def convert(content: bytes, path: Path, values: tuple[float, float]) -> None:
    """Write the network of a TFLite file as safetensors.

    values : what the network takes black and white for.
    """
    from ..files.checkpoints import write_tensors

    converter = _Converter(_Model(content))
    graph = json.dumps(converter.description(values), separators=(",", ":"))
    write_tensors(path, converter.weights, {"format": FORMAT, "graph": graph})


def main() -> None:
    from ..files.durable import write_bytes

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the wheel of mediapipe 0.10.21")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel, tempfile.TemporaryDirectory() as folder:
        for name, network in NETWORKS.items():
            draft = Path(folder) / f"{name}.safetensors"
            convert(wheel.read(f"mediapipe/modules/{network.source}"), draft, network.values)
            write_bytes(arguments.out / draft.name, draft.read_bytes())
            print(f"{draft.name}: {draft.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()

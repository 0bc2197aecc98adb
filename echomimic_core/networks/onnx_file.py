"""Networks as .onnx files, run by onnxruntime where it is installed; a file is checked by the shape of its input."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import torch

from ..runtime import is_out_of_memory

NEEDS = "it is an ONNX file, which needs onnxruntime: python -m pip install onnxruntime"
# Fields of the ONNX format: the graph of a model, the nodes of a graph, the operator and name of a node.
_GRAPH, _NODE, _OPERATOR = 7, 1, 4
# Graphs that scale pictures themselves have these before the first convolution, as those converted from MXNet do.
_SCALING, _CONVOLUTION = {"Sub", "Mul", "Div"}, "Conv"


class MissingPackage(ValueError):
    """The file may be a good one, but what reads it is not installed."""


@dataclass(frozen=True)
class Layout:
    """What goes into a known file: (channels, height, width) after the batch, and how many tensors come out."""

    shape: tuple[int, int, int]
    outputs: int = 1


# insightface's w600k_r50 and glintr100: RGB in -1..1, or 0..255 where the graph scales; DWPose's dw-ll_ucoco_384: RGB
# less ImageNet's mean over its deviation; YOLOX's yolox_l: BGR in 0..255, letterboxed on grey.
LAYOUTS = {
    "arcface": Layout((3, 112, 112)),
    "dwpose": Layout((3, 384, 288), 2),
    "yolox": Layout((3, 640, 640)),
}


class OnnxNetwork:
    """An .onnx file called like a module: a batch of pictures to a tensor, or to a tuple of them.

    Attributes
    ----------
    scales : whether the graph scales pictures of 0..255 itself; else ArcFace wants them in -1..1.

    Raises
    ------
    MissingPackage : onnxruntime is not installed.
    ValueError : the file is damaged, or it takes other pictures than its layout.
    """

    def __init__(self, key: str, path: Path, device: str = "cpu"):
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingPackage(NEEDS) from error
        if key not in LAYOUTS:
            raise ValueError(f"it is an ONNX file, and those are only read for {', '.join(LAYOUTS)}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[*providers, "CPUExecutionProvider"]
            )
        except MemoryError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ValueError(f"onnxruntime cannot read it ({str(error).splitlines()[0]})") from error
        layout, inputs = LAYOUTS[key], self._session.get_inputs()
        shape = tuple(inputs[0].shape[1:])
        outputs = len(self._session.get_outputs())
        if len(inputs) != 1 or shape != layout.shape or outputs < layout.outputs:
            raise ValueError(
                f"it is an ONNX network of {len(inputs)} inputs of shape {_shown(inputs[0].shape)} and {outputs} "
                f"outputs, instead of one input (n, {', '.join(map(str, layout.shape))}) and {layout.outputs} outputs"
            )
        batch = inputs[0].shape[0]
        self._name, self._batch = inputs[0].name, batch if isinstance(batch, int) else None
        self._type = torch.float16 if "float16" in inputs[0].type else torch.float32
        self.outputs = layout.outputs
        self.scales = bool(_SCALING & set(takewhile(lambda name: name != _CONVOLUTION, operators(path))))
        self._as_bytes = key == "arcface" and self.scales

    def __call__(self, x: torch.Tensor):
        """Results of pictures (n, channels, height, width), on the processor."""
        x = x.detach().cpu()
        x = ((x + 1) * 127.5 if self._as_bytes else x).to(self._type)
        parts = []
        for piece in x.split(self._batch or len(x)):
            # A graph of a fixed batch is fed whole ones.
            missing = (self._batch or len(piece)) - len(piece)
            fed = torch.cat([piece, piece.new_zeros(missing, *piece.shape[1:])]) if missing else piece
            results = self._session.run(None, {self._name: fed.contiguous().numpy()})
            parts.append([torch.from_numpy(result)[: len(piece)] for result in results[: self.outputs]])
        whole = tuple(torch.cat(column) for column in zip(*parts, strict=True))
        return whole if self.outputs > 1 else whole[0]


def operators(path: Path) -> list[str]:
    """Operators of an ONNX graph in its order, read from the file without onnx; empty for what is no such file."""
    content = memoryview(Path(path).read_bytes())
    try:
        graph = next((value for field, value in _fields(content) if field == _GRAPH), None)
        nodes = [value for field, value in _fields(graph) if field == _NODE] if graph is not None else []
        return [bytes(value).decode() for node in nodes for field, value in _fields(node) if field == _OPERATOR]
    except (IndexError, ValueError):
        return []


def _fields(content: memoryview):
    """(number, bytes) of the fields of a protocol buffer that have a length; the others are passed over."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == 0:
            _, place = _varint(content, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        elif kind == 2:
            length, place = _varint(content, place)
            if place + length > len(content):
                raise ValueError("a field is longer than the file")
            yield tag >> 3, content[place : place + length]
            place += length
        else:
            raise ValueError(f"there is no field of kind {kind}")


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _shown(shape: list) -> str:
    return "(" + ", ".join(str(size) if isinstance(size, int) else "n" for size in shape) + ")"

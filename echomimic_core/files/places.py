"""Where a tensor is in a file, and the tensor itself: mapped into memory, so that only what is used is read."""

import math
import mmap
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import torch

# The dtypes of weights files, by the name that .safetensors has for them; an older torch lacks some.
DTYPES: dict[str, torch.dtype] = {
    name: getattr(torch, dtype)
    for name, dtype in {
        "BOOL": "bool",
        "U8": "uint8",
        "I8": "int8",
        "I16": "int16",
        "U16": "uint16",
        "I32": "int32",
        "U32": "uint32",
        "I64": "int64",
        "U64": "uint64",
        "F16": "float16",
        "BF16": "bfloat16",
        "F32": "float32",
        "F64": "float64",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
    }.items()
    if hasattr(torch, dtype)
}
MAX_DIMENSIONS = 16


class TensorFormatError(ValueError):
    """A file of tensors is damaged, foreign or unsafe; the message continues "it ..."."""


@dataclass(frozen=True)
class Place:
    """A tensor in a file: `offset` bytes from the file's beginning lies its first element.

    stride : in elements, None where the tensor is contiguous.
    swapped : the bytes of each element are in the other order than this machine's.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    stride: tuple[int, ...] | None = None
    swapped: bool = False

    @property
    def span(self) -> int:
        """Elements from the first to the last one."""
        if 0 in self.shape:
            return 0
        if self.stride is None:
            return math.prod(self.shape)
        return 1 + sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))


class MappedFile:
    """Tensors at places of a file. No handle is held: the file stays mapped only while a tensor of it is in use."""

    def __init__(self, path: Path):
        self.path = path
        self._map = lambda: None

    def tensor(self, place: Place) -> torch.Tensor:
        """The tensor at a place; changing it does not change the file.

        Raises
        ------
        TensorFormatError : the file has become shorter. OSError : it is gone.
        """
        size = place.dtype.itemsize
        if place.span == 0:
            return torch.empty(place.shape, dtype=place.dtype)
        mapped = self._mapped()
        if place.offset + place.span * size > len(mapped):
            raise TensorFormatError("it has been shortened since it was opened")
        raw = torch.frombuffer(mapped, dtype=torch.uint8, count=place.span * size, offset=place.offset)
        if place.swapped and size > 1:
            raw = raw.reshape(-1, size).flip(1).reshape(-1)
        elif place.offset % size:
            raw = raw.clone()
        flat = raw.view(place.dtype)
        return flat.reshape(place.shape) if place.stride is None else flat.as_strided(place.shape, place.stride)

    def _mapped(self) -> mmap.mmap:
        mapped = self._map()
        if mapped is None:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    raise TensorFormatError("it has become empty since it was opened")
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._map = weakref.ref(mapped)
        return mapped

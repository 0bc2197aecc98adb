"""The .safetensors format: what a file says of its tensors, checked, and files written as their tensors come."""

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from .places import DTYPES, MAX_DIMENSIONS, Place, TensorFormatError

# Released models have headers of some hundred kilobytes.
MAX_HEADER_BYTES = 8 * 2**20
_METADATA = "__metadata__"
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_BLOCK = 1 << 24


def read_header(path: Path) -> tuple[dict[str, Place], dict[str, str]]:
    """The places of all tensors of a file by name, and its metadata.

    Raises
    ------
    TensorFormatError : it is damaged, cut off, or its header is not as the format has it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise TensorFormatError("it is damaged or not complete")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TensorFormatError("it is damaged or not complete") from error
    if not isinstance(header, dict):
        raise TensorFormatError("it is damaged or not complete")
    metadata = header.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise TensorFormatError("it is damaged: its metadata are not text")
    return {name: _place(entry, 8 + length, size) for name, entry in header.items()}, metadata


def _place(entry, begin: int, size: int) -> Place:
    if not isinstance(entry, dict):
        raise TensorFormatError("it is damaged or not complete")
    dtype = DTYPES.get(entry.get("dtype") if isinstance(entry.get("dtype"), str) else "")
    if dtype is None:
        raise TensorFormatError("it contains tensors of an unknown type")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _whole_numbers(shape) or len(shape) > MAX_DIMENSIONS or not _whole_numbers(offsets) or len(offsets) != 2:
        raise TensorFormatError("it is damaged or not complete")
    first, last = offsets
    if last > size - begin or last - first != math.prod(shape) * dtype.itemsize:
        raise TensorFormatError("it is damaged or not complete")
    # Where a side is 0, the others could still be too large for torch.
    if math.prod(side for side in shape if side) > 2**62:
        raise TensorFormatError("it is damaged: a tensor in it has an impossible shape")
    return Place(dtype, tuple(shape), begin + first)


def _whole_numbers(values) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**62 for value in values)


def write(
    file: BinaryIO,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> None:
    """Write tensors into an open file, one by one, so that no copy of all of them is made.

    dtypes : of tensors that are stored in another dtype than their own, by name; each is converted when its turn comes.
    progress : called with (bytes written, bytes in all); it may raise to stop.
    """
    stored = {name: (dtypes or {}).get(name, tensor.dtype) for name, tensor in tensors.items()}
    # The larger elements first, so that all lie where their size divides their place.
    order = sorted(tensors, key=lambda name: (-stored[name].itemsize, name))
    header: dict[str, object] = {} if not metadata else {_METADATA: dict(metadata)}
    total = 0
    for name in order:
        tensor, dtype = tensors[name], stored[name]
        if dtype not in _NAMES:
            raise ValueError(f"{name} is of {dtype}, which a .safetensors file cannot store")
        end = total + tensor.numel() * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(tensor.shape), "data_offsets": [total, end]}
        total = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    done = 0
    for name in order:
        for block in _bytes(tensors[name].detach().to("cpu", stored[name])):
            file.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)


def _bytes(tensor: torch.Tensor) -> Iterator[memoryview]:
    """The elements of a tensor as bytes, in blocks."""
    flat = tensor.contiguous().reshape(-1)
    if flat.numel():
        raw = memoryview(flat.view(torch.uint8).numpy())
        yield from (raw[start : start + _BLOCK] for start in range(0, len(raw), _BLOCK))

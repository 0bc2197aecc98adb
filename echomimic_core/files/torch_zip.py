"""Torch's files of the zip form, read by a closed reader: the same on every torch, and without its unpickler.

Such a file is an uncompressed zip with a pickle (`data.pkl`) of everything but the numbers, and one entry for each
storage (`data/0`, `data/1`, ...). The pickle may hold plain values and tensors; a tensor is only a description here,
checked against the size of its storage's entry, and mapped from the file when it is asked for.
"""

import math
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from .pickle_machine import Latin1, Limits, Machine, PickleError, StandIn, UnsafePickleError
from .places import MAX_DIMENSIONS, Place, TensorFormatError

MAX_ENTRIES = 100_000
MAX_PICKLE_BYTES = 32 * 2**20
MAX_DIRECTORY_BYTES = 16 * 2**20
MAX_INSTRUCTIONS = 1_000_000
LIMITS = Limits(MAX_PICKLE_BYTES, MAX_INSTRUCTIONS)

_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LONGEST_COMMENT = 0xFFFF
_FULL_32 = 0xFFFFFFFF
_LONGEST_KEY = 40
_STORAGES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
_LATER_DTYPES = ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64")


@dataclass(frozen=True)
class Entry:
    """A file in the zip: where its bytes begin, and how many there are."""

    offset: int
    size: int


def is_zip(path: Path) -> bool:
    """Whether a file begins as the zip form does; the older forms are a bare pickle and a tar."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def read_torch(path: Path):
    """What `torch.save` wrote, with a `StoredTensor` for each tensor; its dictionaries are dicts.

    Raises
    ------
    UnsafePickleError : it holds more than tensors and plain values. Nothing of it has run.
    TensorFormatError, PickleError : it is damaged, of another form or too large.
    """
    with path.open("rb") as file:
        entries = read_entries(file)
        roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("data.pkl") and name.count("/") < 2]
        if len(roots) != 1:
            raise TensorFormatError("it is a zip, but not one of torch's")
        root = roots[0]
        order = _read(file, entries[f"{root}byteorder"], 6) if f"{root}byteorder" in entries else b"little"
        if order not in (b"little", b"big"):
            raise TensorFormatError("it is damaged: its byte order is missing")
        data = _read(file, entries[f"{root}data.pkl"], MAX_PICKLE_BYTES)
    storages = _Storages(entries, f"{root}data/", swapped=order.decode() != sys.byteorder)
    return Machine(data, _names(), LIMITS, storages.find).run()


def read_entries(file: BinaryIO) -> dict[str, Entry]:
    """The entries of a zip by name; only uncompressed ones, whose bytes all lie in the file.

    Raises
    ------
    TensorFormatError : it is not a zip, is damaged, cut off, compressed or encrypted.
    """
    size = file.seek(0, 2)
    count, begin, length = _directory(file, size)
    if max(count / MAX_ENTRIES, length / MAX_DIRECTORY_BYTES) > 1 or begin + length > size or length < 46 * count:
        raise TensorFormatError("it is damaged or not complete")
    file.seek(begin)
    directory = file.read(length)
    entries: dict[str, Entry] = {}
    position = 0
    try:
        for _ in range(count):
            name, offset, taken = _directory_entry(directory, position)
            position += taken
            entries[name] = _local_entry(file, *offset, size)
    except (struct.error, UnicodeError) as error:
        raise TensorFormatError("it is damaged or not complete") from error
    return entries


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """(entries, begin, length) of the directory at the end of a zip."""
    file.seek(max(size - _LONGEST_COMMENT - 22, 0))
    tail = file.read()
    found = tail.rfind(_END)
    try:
        count, length, begin = struct.unpack_from("<10xHII", tail, found)
        locator = found - 20
        if found < 0:
            raise TensorFormatError("it is damaged or not complete")
        if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_64:
            (where,) = struct.unpack_from("<8xQ", tail, locator)
            if where > size:
                raise TensorFormatError("it is damaged or not complete")
            file.seek(where)
            end = file.read(56)
            if end[:4] != _END_64:
                raise TensorFormatError("it is damaged or not complete")
            count, length, begin = struct.unpack_from("<32xQQQ", end)
    except struct.error as error:
        raise TensorFormatError("it is damaged or not complete") from error
    return count, begin, length


def _directory_entry(directory: bytes, position: int) -> tuple[str, tuple[int, int], int]:
    """(name, (place of its local header, bytes), bytes of this record) of one record of the directory."""
    mark, flags, method, packed, size, n, m, k, offset = struct.unpack_from("<4s4xHH8xIIHHH8xI", directory, position)
    if mark != b"PK\x01\x02" or method != 0 or flags & 1:
        raise TensorFormatError("it is damaged, or a zip that is compressed")
    name = directory[position + 46 : position + 46 + n].decode("utf-8")
    extra = directory[position + 46 + n : position + 46 + n + m]
    if _FULL_32 in (packed, size, offset):
        size, packed, offset = _large(extra, size, packed, offset)
    if packed != size:
        raise TensorFormatError("it is damaged, or a zip that is compressed")
    return name, (offset, size), 46 + n + m + k


def _large(extra: bytes, *values: int) -> tuple[int, ...]:
    """The values of an entry, those that do not fit 32 bits taken from its extra field."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            large = list(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            full = [value == _FULL_32 for value in values]
            if sum(full) > len(large):
                break
            return tuple(large.pop(0) if is_full else value for value, is_full in zip(values, full, strict=True))
        position += 4 + length
    raise TensorFormatError("it is damaged or not complete")


def _local_entry(file: BinaryIO, offset: int, length: int, size: int) -> Entry:
    if offset > size:
        raise TensorFormatError("it is damaged or not complete")
    file.seek(offset)
    mark, n, m = struct.unpack("<4s22xHH", file.read(30))
    begin = offset + 30 + n + m
    if mark != b"PK\x03\x04" or begin + length > size:
        raise TensorFormatError("it is damaged or not complete")
    return Entry(begin, length)


def _read(file: BinaryIO, entry: Entry, most: int) -> bytes:
    if entry.size > most:
        raise TensorFormatError(f"it says that it has {entry.size:,} bytes where {most:,} are the most")
    file.seek(entry.offset)
    return file.read(entry.size)


class _Kind:
    """Stands for a dtype or the class of a storage."""

    def __init__(self, dtype: torch.dtype | None):
        self.dtype = dtype


@dataclass(frozen=True)
class _Storage:
    offset: int
    size: int
    dtype: torch.dtype | None
    swapped: bool


class StoredTensor(StandIn):
    """A tensor that the pickle describes; `place` is where its numbers lie."""

    def __init__(self, place: Place):
        self.place = place

    def set_state(self, state) -> None:
        """Attributes that somebody hung on the tensor: no part of the weights."""


class _Ordered(StandIn, dict):
    """Stands for an OrderedDict: a state dict has its `_metadata` for state, which says nothing of the weights."""

    def set_state(self, state) -> None:
        """See the class."""


def _ordered(*items) -> _Ordered:
    # Python 2 handed the items over here; such files are of the older form.
    if items:
        raise PickleError("it is damaged: one of its dictionaries is not a dictionary")
    return _Ordered()


class _Storages:
    """Finds what a persistent id of the pickle means."""

    def __init__(self, entries: dict[str, Entry], folder: str, swapped: bool):
        self._entries, self._folder, self._swapped = entries, folder, swapped

    def find(self, pid) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise UnsafePickleError("it refers to data outside the file")
        _, kind, key, _, count = pid
        if not isinstance(kind, _Kind) or not _whole((count,)) or not isinstance(key, str) or len(key) > _LONGEST_KEY:
            raise PickleError("it is damaged: one of its storages is not a storage")
        entry = self._entries.get(self._folder + key)
        itemsize = 1 if kind.dtype is None else kind.dtype.itemsize
        if entry is None or count * itemsize > entry.size:
            raise TensorFormatError("it is damaged or not complete: some of its numbers are missing")
        return _Storage(entry.offset, count * itemsize, kind.dtype, self._swapped)


def _tensor(storage, offset, size, stride, *_, dtype: torch.dtype | None = None) -> StoredTensor:
    dtype = dtype or getattr(storage, "dtype", None)
    if not isinstance(storage, _Storage) or dtype is None:
        raise PickleError("it is damaged: a tensor in it has no numbers")
    if not (_whole(size) and _whole(stride) and _whole((offset,)) and len(size) == len(stride)):
        raise PickleError("it is damaged: a tensor in it has no shape")
    if math.prod(side for side in size if side) > max(storage.size, 2**20):
        raise TensorFormatError("it is damaged: a tensor in it is larger than what the file stores")
    place = Place(dtype, tuple(size), storage.offset + offset * dtype.itemsize, tuple(stride), storage.swapped)
    if (offset + place.span) * dtype.itemsize > storage.size and 0 not in size:
        raise TensorFormatError("it is damaged: a tensor in it is outside its storage")
    return StoredTensor(place)


def _tensor_of_dtype(storage, offset, size, stride, requires_grad, hooks, kind, *_) -> StoredTensor:
    if not isinstance(kind, _Kind):
        raise PickleError("it is damaged: a tensor in it has no type")
    return _tensor(storage, offset, size, stride, dtype=kind.dtype)


def _parameter(tensor, *_) -> StoredTensor:
    if not isinstance(tensor, StoredTensor):
        raise PickleError("it is damaged: one of its parameters is not a parameter")
    return tensor


def _of_class(function, _kind, arguments, *_) -> StoredTensor:
    if function not in (_tensor, _tensor_of_dtype, _parameter) or not isinstance(arguments, tuple):
        raise UnsafePickleError("it contains a tensor of an unknown class")
    return function(*arguments)


def _size(sides=()) -> tuple:
    if not isinstance(sides, list | tuple) or len(sides) > MAX_DIMENSIONS:
        raise PickleError("it is damaged: one of its shapes is not a shape")
    return tuple(sides)


def _whole(values) -> bool:
    few = isinstance(values, tuple) and len(values) <= MAX_DIMENSIONS
    return few and all(type(value) is int and 0 <= value < 2**62 for value in values)


def _names() -> dict[tuple[str, str], object]:
    """What a file may name, and what of ours stands for it."""
    names: dict[tuple[str, str], object] = {
        ("collections", "OrderedDict"): _ordered,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._tensor", "_rebuild_from_type_v2"): _of_class,
        ("torch", "Tensor"): _Kind(None),
        ("torch.nn.parameter", "Parameter"): _Kind(None),
        ("torch", "Size"): _size,
        ("torch.storage", "UntypedStorage"): _Kind(None),
        ("_codecs", "encode"): Latin1(MAX_PICKLE_BYTES),
    }
    names |= {("torch", f"{name}Storage"): _Kind(dtype) for name, dtype in _STORAGES.items()}
    dtypes = {str(dtype).removeprefix("torch."): dtype for dtype in _STORAGES.values()}
    dtypes |= {name: getattr(torch, name) for name in _LATER_DTYPES if hasattr(torch, name)}
    return names | {("torch", name): _Kind(dtype) for name, dtype in dtypes.items()}

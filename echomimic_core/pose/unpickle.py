"""Read the pickled dictionaries of released pose files without letting them run anything.

Only what a released file needs is understood: plain values, containers and NumPy arrays of numbers. Nothing of NumPy is
called or set by a file: its dtypes and arrays are described to stand-ins of ours, checked, and made here.
"""

import math
import re
from pathlib import Path

import numpy as np

from ..files.pickle_machine import Latin1, Limits, Machine, PickleError, StandIn, UnsafePickleError, shorten

__all__ = ["MAX_FILE_BYTES", "UnsafePickleError", "load_npy"]

# A frame of one person has 4 KB; the rest is room for a crowd.
MAX_FILE_BYTES = 2**20
MAX_INSTRUCTIONS = 50_000
# Numbers, containers and array elements that a frame may hold, counted once for each place where they stand.
MAX_VALUES = 2**20
MAX_CONTAINERS = 50_000
MAX_DEPTH = 16
MAX_DIMENSIONS = 8

_HEADER = re.compile(
    rb"\{'descr': '([|<>=]?[A-Za-z]\d{0,4})', 'fortran_order': (?:True|False), 'shape': \(([\d, ]{0,40})\), \}[ ]*\n?"
)
_MAGIC = b"\x93NUMPY"
_OBJECTS = "O"
_NUMBERS = {kind: np.dtype(kind) for kind in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")}


class _Type(StandIn):
    """Stands for a dtype out of a closed list: `kind` is its letter and size, "O" for objects."""

    def __init__(self, description, align=False, copy=False):
        text = description if isinstance(description, str) and len(description) <= 3 else ""
        self.order = text[0] if text[:1] in tuple("|<>=") else "="
        self.kind = text.lstrip("|<>=")
        if self.kind == "O8":
            self.kind = _OBJECTS
        if self.kind != _OBJECTS and self.kind not in _NUMBERS:
            raise UnsafePickleError(f"it contains an array of type {_shown(description)}")

    def set_state(self, state) -> None:
        """(version, byte order, and what only structured or flexible types have, which we have not)."""
        if not isinstance(state, tuple) or not 5 <= len(state) <= 9 or any(v is not None for v in state[2:5]):
            raise UnsafePickleError("it contains an array of a structured type")
        if state[1] not in ("<", ">", "=", "|"):
            raise UnsafePickleError("it contains an array of unknown byte order")
        self.order = state[1]

    def numbers(self) -> np.dtype:
        if self.kind == _OBJECTS:
            raise UnsafePickleError("it treats numbers as objects")
        return _NUMBERS[self.kind].newbyteorder("=" if self.order == "|" else self.order)


class _Array(StandIn):
    """Stands for an array until all of the file is read; `objects` are its elements where they are no numbers."""

    def __init__(self):
        self.shape: tuple[int, ...] = (0,)
        self.values: np.ndarray | None = None
        self.objects: list | None = None

    def set_state(self, state) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise UnsafePickleError("it contains an array of an unknown kind")
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Type):
            raise UnsafePickleError("it contains an array without a type")
        if kind.kind == _OBJECTS:
            self.shape = _checked_shape(shape)
            if not isinstance(content, list) or len(content) != math.prod(self.shape):
                raise PickleError("it is damaged: an array in it does not have the stated size")
            self.objects = content
        else:
            self.values = _from_buffer(content, kind, shape, "F" if fortran else "C").values
            self.objects = None


def _checked_shape(shape) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
        raise PickleError("it is damaged: an array in it has no shape")
    if not all(isinstance(side, int) and 0 <= side <= MAX_VALUES for side in shape):
        raise PickleError("it is damaged: an array in it has an impossible shape")
    if math.prod(side for side in shape if side) > MAX_VALUES:
        raise PickleError("it claims to contain more numbers than a pose has")
    return shape


def _numpy_array_class(*_):
    raise UnsafePickleError("it contains an array of an unknown kind")


def _empty_array(kind, shape, _typecode) -> _Array:
    if kind is not _numpy_array_class or shape != (0,):
        raise UnsafePickleError("it contains an array of an unknown kind")
    return _Array()


def _from_buffer(buffer, kind, shape, order="C") -> _Array:
    if not isinstance(kind, _Type) or not isinstance(buffer, bytes) or order not in ("C", "F"):
        raise UnsafePickleError("it contains an array of an unknown kind")
    numbers = kind.numbers()
    shape = _checked_shape(shape)
    if math.prod(shape) * numbers.itemsize != len(buffer):
        raise PickleError("it is damaged: an array in it does not have the stated size")
    array = _Array()
    array.values = np.frombuffer(buffer, numbers).reshape(shape, order=order)
    return array


def _scalar(kind, data) -> int | float | bool:
    if not isinstance(kind, _Type) or not isinstance(data, bytes) or len(data) != kind.numbers().itemsize:
        raise UnsafePickleError("it contains a number of an unknown kind")
    return np.frombuffer(data, kind.numbers())[0].item()


def _empty_bytes() -> bytes:
    # How Python 3 writes the content of an array without numbers where the protocol is an older one.
    return b""


def _names() -> dict[tuple[str, str], object]:
    """What a released file may name, and our own stand-in for it: no function of a foreign module is ever called."""
    names = {
        ("numpy", "ndarray"): _numpy_array_class,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): Latin1(MAX_FILE_BYTES),
        ("__builtin__", "bytes"): _empty_bytes,
    }
    for core in ("core", "_core"):
        names[f"numpy.{core}.multiarray", "_reconstruct"] = _empty_array
        names[f"numpy.{core}.multiarray", "scalar"] = _scalar
        names[f"numpy.{core}.numeric", "_frombuffer"] = _from_buffer
    return names


def load_npy(path: str | Path):
    """The value in a .npy file: what was pickled into it if that is plain data, or a plain array of numbers.

    Raises
    ------
    UnsafePickleError : the file asks for anything but arrays, numbers, text and containers. Nothing of it has run.
    ValueError : the file is not a .npy file, is damaged or too large; the message continues "it ...".
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"it is {path.stat().st_size / 2**20:.1f} MB, and a pose file has a few kilobytes")
    return parse_npy(data)


def parse_npy(data: bytes):
    """`load_npy` of a file's bytes."""
    kind, shape, content = _read_header(data)
    if kind.kind != _OBJECTS:
        return _from_buffer(content, kind, shape).values
    if shape not in ((), (1,)):
        raise ValueError(f"it holds objects of shape {shape} instead of one dictionary")
    value = _Plain().value(Machine(content, _names(), Limits(MAX_FILE_BYTES, MAX_INSTRUCTIONS)).run())
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    return value


def _read_header(data: bytes) -> tuple[_Type, tuple[int, ...], bytes]:
    """The type and shape that a .npy file says at its beginning, and the bytes after that."""
    if not data.startswith(_MAGIC) or len(data) < 12 or data[6] not in (1, 2, 3):
        raise ValueError("it is not a .npy file, or only the beginning of one")
    begin = 10 if data[6] == 1 else 12
    end = begin + int.from_bytes(data[8:begin], "little")
    found = _HEADER.fullmatch(data[begin:end])
    if end > len(data) or not found:
        raise ValueError("it is not a .npy file, or only the beginning of one")
    description, shape = (part.decode("ascii") for part in found.groups())
    sides = tuple(int(side) for side in shape.replace(" ", "").split(",") if side)
    return _Type(description), _checked_shape(sides), data[end:]


class _Plain:
    """Puts arrays in the place of their stand-ins, and counts: a file may name one thing in a million places."""

    def __init__(self):
        self.values = self.containers = 0

    def value(self, found, depth: int = 0):
        if depth > MAX_DEPTH:
            raise PickleError("it nests values more deeply than a pose does")
        if isinstance(found, _Array):
            return self._array(found, depth)
        if isinstance(found, StandIn) or callable(found):
            raise UnsafePickleError("it contains a type instead of a value")
        if isinstance(found, dict):
            self._count(len(found))
            return {key: self.value(item, depth + 1) for key, item in found.items()}
        if isinstance(found, list | tuple):
            self._count(len(found))
            return type(found)([self.value(item, depth + 1) for item in found])
        return found

    def _array(self, found: _Array, depth: int) -> np.ndarray:
        if found.objects is None:
            values = np.zeros(0) if found.values is None else found.values
            self._count(values.size)
            return values
        self._count(len(found.objects))
        made = np.empty(len(found.objects), object)
        for index, item in enumerate(found.objects):
            made[index] = self.value(item, depth + 1)
        return made.reshape(found.shape)

    def _count(self, values: int) -> None:
        self.values += values
        self.containers += 1
        if self.values > MAX_VALUES or self.containers > MAX_CONTAINERS:
            raise PickleError("it claims to contain more numbers than a pose has")


def _shown(description) -> str:
    return shorten(repr(description)) if isinstance(description, str | int) else type(description).__name__

"""Read the pickled dictionaries of released pose files without letting them run anything."""

from __future__ import annotations

import codecs
import io
import pickle
import pickletools
import re
from pathlib import Path

import numpy as np

MAX_FILE_BYTES = 16 * 2**20

# Opcodes that build plain values, containers and NumPy arrays. Extension codes and persistent ids are left out.
_OPCODES = re.compile(
    "PROTO|FRAME|STOP|MARK|POP|POP_MARK|DUP|MEMOIZE|(LONG_)?(BIN)?(PUT|GET)"
    "|NONE|NEWTRUE|NEWFALSE|INT|BININT[12]?|LONG[14]?|(BIN)?FLOAT"
    "|(SHORT_)?BIN(STRING|BYTES|UNICODE)|STRING|UNICODE|BINBYTES8|BINUNICODE8|BYTEARRAY8"
    "|(EMPTY_)?(LIST|TUPLE|DICT)|EMPTY_SET|FROZENSET|TUPLE[123]|APPENDS?|SETITEMS?|ADDITEMS"
    "|(STACK_)?GLOBAL|REDUCE|BUILD"
)
_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_DTYPE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248]|O8?|U\d{1,4}|S\d{1,4})")


class UnsafePickleError(ValueError):
    """The file asks for something other than plain values and NumPy arrays."""


def _dtype(description, align=False, copy=False) -> np.dtype:
    if not isinstance(description, str) or not _DTYPE.fullmatch(description):
        raise UnsafePickleError(f"it holds an array of type {description!r}")
    return np.dtype(description, copy=True)


def _ndarray(*_):
    raise UnsafePickleError("it holds an array of an unknown kind")


def _empty_array(kind, shape, _typecode) -> np.ndarray:
    if kind is not _ndarray or tuple(shape) != (0,):
        raise UnsafePickleError("it holds an array of an unknown kind")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _from_buffer(buffer, dtype, shape, order) -> np.ndarray:
    return np.frombuffer(buffer, dtype=_checked(dtype)).reshape(shape, order=order)


def _scalar(dtype, data):
    return np.frombuffer(data, dtype=_checked(dtype), count=1)[0]


def _checked(dtype) -> np.dtype:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise UnsafePickleError(f"it holds an array of type {dtype!r}")
    return dtype


def _encode(text, encoding="latin1") -> bytes:
    if encoding != "latin1":
        raise UnsafePickleError(f"it holds text encoded as {encoding!r}")
    return codecs.latin_1_encode(text)[0]


# What a released file may name, and our own stand-in for it: no function of a foreign module is ever called.
_ALLOWED = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty_array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise UnsafePickleError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid):
        raise UnsafePickleError("it refers to data outside of the file")


def load_npy(path: str | Path):
    """The value in a .npy file: an array, or what was pickled into it if that is plain data.

    Raises
    ------
    UnsafePickleError : the file asks for anything but arrays, numbers, text and containers. Nothing of it has run.
    ValueError : the file is not a .npy file or is damaged.
    """
    path = Path(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"it is {path.stat().st_size / 2**20:.0f} MB, and a pose file has a few kilobytes")
    data = path.read_bytes()
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    except (ValueError, EOFError, SyntaxError, KeyError, TypeError) as error:
        raise ValueError("it is not a .npy file, or only the beginning of one") from error
    if not dtype.hasobject:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if dtype != np.dtype(object) or shape not in ((), (1,)):
        raise ValueError(f"it holds objects of shape {shape} instead of one dictionary")
    value = _loads(data[file.tell() :])
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    return value


def _loads(data: bytes):
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if not _OPCODES.fullmatch(opcode.name):
                raise UnsafePickleError(f"it uses the pickle instruction {opcode.name}")
            # A memo index far beyond the file's own size would only serve to exhaust the memory.
            if opcode.name in _MEMO_WRITES and int(argument) > len(data):
                raise UnsafePickleError("its memo index is out of range")
        return _Unpickler(io.BytesIO(data)).load()
    except UnsafePickleError:
        raise
    except Exception as error:
        raise ValueError("its pickled contents are cut off or damaged") from error

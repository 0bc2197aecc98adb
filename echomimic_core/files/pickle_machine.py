"""A small stack machine for pickles that holds plain values and whatever its caller allows by name, and nothing else.

Python's own unpickler calls what a file names and sets the state of what it built. This one knows no imports: a name
in the file is looked up in the caller's table, whose entries are ours, and only objects of the class `StandIn` ever
receive a state. Work and memory are bounded by `Limits`, so that no file can make it slow or large.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# A number of the file beyond this has no place in poses or weights, and huge ones are slow to read.
LONGEST_NUMBER = 40
_MARK = object()


class PickleError(ValueError):
    """The pickle is damaged or larger than allowed; the message continues "it ..."."""


class UnsafePickleError(ValueError):
    """The pickle asks for something other than plain values and what its reader allows."""


class StandIn:
    """What a file may build: a subclass takes the state that the file has for it, and checks it."""

    def set_state(self, state) -> None:
        raise UnsafePickleError(f"it sets the state of a {type(self).__name__.strip('_').lower()}")


@dataclass(frozen=True)
class Limits:
    """At most this many bytes, and this many instructions."""

    bytes: int
    instructions: int


class Machine:
    """Runs one pickle.

    Parameters
    ----------
    data : the pickle, from its first instruction on; what comes after its end is not looked at.
    names : what the file may name, as (module, name) -> a function or value of ours.
    limits : see `Limits`.
    persistent : takes a persistent id (torch's way to refer to storages); None refuses them.

    Raises
    ------
    UnsafePickleError : the file names or does what is not allowed. Nothing of it has run.
    PickleError : it is damaged, cut off or too large.
    """

    def __init__(
        self,
        data: bytes,
        names: Mapping[tuple[str, str], object],
        limits: Limits,
        persistent: Callable[[object], object] | None = None,
    ):
        if len(data) > limits.bytes:
            raise PickleError(f"it is a pickle of {len(data):,} bytes, where {limits.bytes:,} are allowed")
        self._data, self._names, self._limits, self._persistent = data, names, limits, persistent
        self._functions = {id(value) for value in names.values() if callable(value)}
        self._position = 0
        self._stack: list = []
        self._memo: dict[int, object] = {}

    def run(self):
        """The value of the pickle."""
        data, instructions = self._data, _INSTRUCTIONS
        try:
            for _ in range(self._limits.instructions):
                code = data[self._position]
                self._position += 1
                if code == _STOP:
                    return self._pop()
                instruction = instructions[code]
                if instruction is None:
                    raise UnsafePickleError(f"it uses the pickle instruction {code:#04x}")
                instruction(self)
        except (IndexError, struct.error, UnicodeError) as error:
            raise PickleError("it is cut off or damaged") from error
        raise PickleError(f"it has more than {self._limits.instructions:,} instructions")

    def _pop(self):
        value = self._stack.pop()
        if value is _MARK:
            raise PickleError("it is damaged")
        return value

    def _items(self) -> list:
        """What lies above the last mark, taken from the stack together with the mark."""
        stack = self._stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is _MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise PickleError("it is damaged")

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if count < 0 or end > len(self._data):
            raise PickleError("it is cut off")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _number(self, form: str) -> int | float:
        size = struct.calcsize(form)
        return struct.unpack(form, self._take(size))[0]

    def _line(self, longest: int = LONGEST_NUMBER) -> bytes:
        end = self._data.find(b"\n", self._position, self._position + longest + 1)
        if end < 0:
            raise PickleError("it is damaged: one of its lines has no end")
        line = self._take(end - self._position)
        self._position += 1
        return line

    def _push(self, value) -> None:
        self._stack.append(value)

    def _remember(self, index: int) -> None:
        if not 0 <= index <= len(self._data):
            raise UnsafePickleError("its memo index is out of range")
        value = self._stack[-1]
        if value is _MARK:
            raise PickleError("it is damaged")
        self._memo[index] = value

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise PickleError("it is damaged: it refers to an object it never stored")
        self._push(self._memo[index])

    def _find(self, module: str, name: str) -> None:
        try:
            self._push(self._names[module, name])
        except KeyError:
            raise UnsafePickleError(f"it asks for {shorten(f'{module}.{name}')}") from None

    def _global(self) -> None:
        module, name = self._line(_LONGEST_NAME), self._line(_LONGEST_NAME)
        self._find(module.decode("ascii"), name.decode("ascii"))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise PickleError("it is damaged")
        self._find(module, name)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if id(function) not in self._functions or not isinstance(arguments, tuple):
            raise UnsafePickleError("it calls a function that is not allowed")
        if len(arguments) > _MOST_ARGUMENTS:
            raise PickleError("it is damaged: an object in it has too many parts")
        try:
            self._push(function(*arguments))
        except (UnsafePickleError, PickleError):
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise PickleError("it is damaged: an object in it has the wrong parts") from error

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if not isinstance(target, StandIn):
            raise UnsafePickleError(f"it sets the state of a {type(target).__name__}")
        try:
            target.set_state(state)
        except (UnsafePickleError, PickleError):
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise PickleError("it is damaged: an object in it has the wrong parts") from error

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise UnsafePickleError("it refers to data outside the file")
        try:
            self._push(self._persistent(self._pop()))
        except (TypeError, OverflowError) as error:
            raise PickleError("it is damaged: it refers to a storage in an unknown way") from error

    def _append(self, items: list) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise PickleError("it is damaged")
        target.extend(items)

    def _set_items(self, items: list) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise PickleError("it is damaged")
        _fill(target, items)

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _text(self, size: int) -> None:
        # Lone surrogates are valid in pickles and never meant; they are a damage here.
        self._push(self._take(size).decode("utf-8"))

    def _long(self) -> None:
        size = self._take(1)[0]
        if size > LONGEST_NUMBER:
            raise PickleError(f"it contains a number of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _written_int(self) -> None:
        line = self._line()
        self._push(line == b"01" if line in (b"00", b"01") else _as_number(int, line))

    def _written_string(self) -> None:
        line = self._line(len(self._data))
        if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
            raise PickleError("it is damaged")
        self._push(line[1:-1].decode("unicode_escape"))


class Latin1:
    """Stands for `_codecs.encode`, by which the older protocols write bytes: at most `most` of them in all.

    A text that is recalled and encoded again and again would otherwise fill the memory.
    """

    def __init__(self, most: int):
        self.left = most

    def __call__(self, text, encoding="latin1") -> bytes:
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise UnsafePickleError("it contains text in an unknown encoding")
        self.left -= len(text)
        if self.left < 0:
            raise PickleError("it contains the same text many times")
        return text.encode("latin-1")


def shorten(text: str, length: int = 80) -> str:
    """A text of the file for a message: printable and not long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: length + 1])
    return text if len(text) <= length else text[:length] + "..."


def _as_number(kind, line: bytes):
    try:
        return kind(line.removesuffix(b"L"))
    except ValueError as error:
        raise PickleError("it is damaged: one of its numbers is not a number") from error


def _fill(target: dict, items: list) -> dict:
    if len(items) % 2:
        raise PickleError("it is damaged")
    keys = items[::2]
    # Nested tuples take for ever to hash, and large numbers can be made to collide; nothing of ours has such keys.
    if not all(isinstance(key, str | bytes) or (isinstance(key, int) and abs(key) < _LARGEST_KEY) for key in keys):
        raise PickleError("it contains a dictionary whose keys are neither text nor numbers")
    target.update(zip(keys, items[1::2], strict=True))
    return target


_LONGEST_NAME = 200
_LARGEST_KEY = 1 << 31
_MOST_ARGUMENTS = 16
_STOP = ord(".")


def _instructions() -> list[Callable[[Machine], None] | None]:
    """What each instruction byte does; None for the many that are refused."""
    m = Machine
    known = {
        "\x80": lambda x: x._take(1),  # PROTO
        "\x95": lambda x: x._take(8),  # FRAME
        "(": lambda x: x._push(_MARK),
        "0": lambda x: x._stack.pop(),
        "1": lambda x: x._items(),
        "2": lambda x: x._push(x._stack[-1]) if x._stack[-1] is not _MARK else x._pop(),
        "N": lambda x: x._push(None),
        "\x88": lambda x: x._push(True),
        "\x89": lambda x: x._push(False),
        "I": m._written_int,
        "J": lambda x: x._push(x._number("<i")),
        "K": lambda x: x._push(x._number("<B")),
        "M": lambda x: x._push(x._number("<H")),
        "L": lambda x: x._push(_as_number(int, x._line())),
        "\x8a": m._long,
        "F": lambda x: x._push(_as_number(float, x._line())),
        "G": lambda x: x._push(x._number(">d")),
        "S": m._written_string,
        "U": lambda x: x._push(x._take(x._number("<B")).decode("latin-1")),
        "T": lambda x: x._push(x._take(x._number("<i")).decode("latin-1")),
        "V": lambda x: x._push(x._line(len(x._data)).decode("raw-unicode-escape")),
        "\x8c": lambda x: x._text(x._number("<B")),
        "X": lambda x: x._text(x._number("<I")),
        "\x8d": lambda x: x._text(x._number("<Q")),
        "C": lambda x: x._push(x._take(x._number("<B"))),
        "B": lambda x: x._push(x._take(x._number("<I"))),
        "\x8e": lambda x: x._push(x._take(x._number("<Q"))),
        "\x96": lambda x: x._push(x._take(x._number("<Q"))),
        "]": lambda x: x._push([]),
        "l": lambda x: x._push(x._items()),
        "a": lambda x: x._append([x._pop()]),
        "e": lambda x: x._append(x._items()),
        "}": lambda x: x._push({}),
        "d": lambda x: x._push(_fill({}, x._items())),
        "s": lambda x: x._set_items(list(reversed([x._pop(), x._pop()]))),
        "u": lambda x: x._set_items(x._items()),
        ")": lambda x: x._push(()),
        "t": lambda x: x._push(tuple(x._items())),
        "\x85": lambda x: x._tuple(1),
        "\x86": lambda x: x._tuple(2),
        "\x87": lambda x: x._tuple(3),
        "p": lambda x: x._remember(_as_number(int, x._line())),
        "q": lambda x: x._remember(x._number("<B")),
        "r": lambda x: x._remember(x._number("<I")),
        "\x94": lambda x: x._remember(len(x._memo)),
        "g": lambda x: x._recall(_as_number(int, x._line())),
        "h": lambda x: x._recall(x._number("<B")),
        "j": lambda x: x._recall(x._number("<I")),
        "c": m._global,
        "\x93": m._stack_global,
        "R": m._reduce,
        "b": m._build,
        "Q": m._persistent_id,
    }
    return [known.get(chr(code)) for code in range(256)]


_INSTRUCTIONS = _instructions()

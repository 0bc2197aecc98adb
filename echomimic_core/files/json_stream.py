"""Large JSON files piece by piece: read with bounded memory, so that progress is seen and a cancel takes effect."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# A value that is not streamed, and each element of a list that is, must fit into this many characters.
LONGEST_VALUE = 1 << 16
_CHUNK = 1 << 20
_SPACE = " \t\n\r"


class JsonError(ValueError):
    """The file is not the expected JSON object; the message continues "it ..."."""


class JsonObject:
    """A JSON file that is one object: its keys in order, the value of each read as a whole or element by element.

    After each key of `keys`, its value has to be taken by `elements` if `is_list`, else by `value`.
    """

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> "JsonObject":
        self._file: TextIO = self._path.open(encoding="utf-8-sig")
        self._text, self._at, self._taken, self._ended = "", 0, 0, False
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Characters read so far."""
        return self._taken + self._at

    def keys(self) -> Iterator[str]:
        """The keys of the object, each before its value."""
        self._expect("{")
        if self._next() == "}":
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise JsonError("it is damaged: one of its keys is not text")
            self._expect(":")
            yield key
            if not self._more("}"):
                return

    def is_list(self) -> bool:
        """Whether the value that comes next is a list."""
        return self._next() == "["

    def elements(self) -> Iterator:
        """The elements of the list that comes next."""
        self._expect("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if not self._more("]"):
                return

    def value(self):
        """The value that comes next."""
        self._next()
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:
            raise JsonError("it is damaged, or a value in it is too long") from error
        if end == len(self._text) and not self._ended:
            raise JsonError("it is damaged, or a value in it is too long")
        self._at = end
        return value

    def _more(self, closing: str) -> bool:
        found = self._next()
        self._at += 1
        if found not in (",", closing):
            raise JsonError("it is damaged or cut off")
        return found == ","

    def _expect(self, letter: str) -> None:
        if self._next() != letter:
            raise JsonError("it is damaged or cut off")
        self._at += 1

    def _next(self) -> str:
        """The next character that is not a space, "" at the end; enough text for one value lies after it."""
        while True:
            if len(self._text) - self._at < LONGEST_VALUE and not self._ended:
                self._read()
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._ended or len(self._text) - self._at >= LONGEST_VALUE:
                return self._text[self._at : self._at + 1]

    def _read(self) -> None:
        try:
            more = self._file.read(_CHUNK)
        except UnicodeDecodeError as error:
            raise JsonError("it is not text") from error
        self._ended = not more
        self._text, self._at, self._taken = self._text[self._at :] + more, 0, self._taken + self._at


_DECODER = json.JSONDecoder()

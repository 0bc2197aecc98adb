"""From YAML and the command line to dataclasses of settings: a wrong key or value is a sentence that names it."""

import dataclasses
import difflib
import math
import types
import typing

from ..config import NANO, RELEASED, SMALL, TINY, ModelConfig

SIZES = {"released": RELEASED, "tiny": TINY, "nano": NANO, "small": SMALL}


class SettingsError(ValueError):
    """A configuration is wrong; the message names the key, what it holds and what it may hold."""


def parse_changes(pairs: list[str]) -> dict:
    """Changes by dotted key of the command line's KEY=VALUE, each value as YAML has it; SettingsError for others."""
    import yaml

    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise SettingsError(f"--set {pair!r} should be KEY=VALUE, such as train.steps=100")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(
                f"--set {pair!r}: {value!r} is not a value; write 5, 0.1, true, text or [a, b], and quote "
                "anything with brackets or colons in it"
            ) from error
    return changes


def change(content: dict, key: str, value) -> None:
    """Put a value at a dotted key into the nested content of a configuration; SettingsError where it cannot lie."""
    *sections, leaf = key.split(".")
    target = content
    for depth, section in enumerate(sections, 1):
        if target.get(section) is None:
            target[section] = {}  # Not there, or a section that is left empty
        if not isinstance(target[section], dict):
            path = ".".join(sections[:depth])
            raise SettingsError(
                f"{key} cannot be set: {path} is {target[section]!r}, which has no settings in it: set {path} itself"
            )
        target = target[section]
    target[leaf] = value


def _choose(key: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise SettingsError(f"{key} is {value!r}, but it must be one of {', '.join(map(str, allowed))}")


def parse(kind: type, content: dict, prefix: str = ""):
    """A settings dataclass from nested dictionaries; see `load_settings`."""
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    values = {}
    for key, value in content.items():
        if key not in known:
            raise SettingsError(_unknown(f"{prefix}{key}", key, known))
        values[key] = convert(hints[key], value, f"{prefix}{key}")
    try:
        return kind(**values)
    except SettingsError:
        raise
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{prefix.rstrip('.') or 'the configuration'}: {error}") from error


def _unknown(path: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}."
    return f"there is no setting '{path}': {hint}"


def convert(hint, value, path: str):
    """A value of YAML as the type that a field asks for; SettingsError where it cannot be that."""
    if hint is ModelConfig and isinstance(value, str):
        _choose(path, value, tuple(SIZES))
        return SIZES[value]
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            inner = dataclasses.fields(hint)[0].name
            raise SettingsError(f"{path} is {value!r}, but it must be a section of settings, such as {path}.{inner}")
        return parse(hint, value, f"{path}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kind = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else convert(kind, value, path)
    if origin is tuple:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, (list, tuple)):
            raise SettingsError(f"{path} is {value!r}, but it must be a list")
        open_ended = arguments[-1] is Ellipsis
        if not open_ended and len(values) != len(arguments):
            raise SettingsError(f"{path} has {len(values)} values, but it must have {len(arguments)}")
        kinds = [arguments[0]] * len(values) if open_ended else arguments
        return tuple(convert(k, v, f"{path}[{i}]") for i, (k, v) in enumerate(zip(kinds, values, strict=True)))
    return _scalar(hint, value, path)


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _scalar(kind: type, value, path: str):
    # YAML 1.1 reads 1e-5, without a dot, as a text
    if kind in (int, float) and isinstance(value, str):
        try:
            value = float(value)
        except ValueError as error:
            raise SettingsError(f"{path} is {value!r}, but it must be {NAMES[kind]}") from error
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is str and value is False:
        value = "no"  # YAML 1.1 again
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{path} is {value}, but it must be a finite number")
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise SettingsError(f"{path} is {value!r}, but it must be {NAMES[kind]}")
    return value

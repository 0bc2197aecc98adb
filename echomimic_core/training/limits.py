"""Limits of settings: each field says itself how small and how large it may be, or among which it is chosen."""

import dataclasses
import math
from collections.abc import Iterator

ANY = math.inf
# The least and the largest number that stand for "above 0" and "below 1".
ABOVE_0, BELOW_1 = 1e-12, 1.0 - 1e-9


def bounded(default, low: float, high: float = ANY):
    """A field of a settings dataclass, a number or a tuple of them, from `low` to `high`, both included."""
    return dataclasses.field(default=default, metadata={"bounds": (low, high)})


def chosen(default, choices: tuple):
    """A field of a settings dataclass, one of `choices` or a tuple of some of them."""
    return dataclasses.field(default=default, metadata={"choices": choices})


def numbers(settings, prefix: str = "") -> Iterator[tuple[str, object, dataclasses.Field]]:
    """Every field below a settings dataclass as (dotted key, value, field), sections opened."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value, field


def find_fault(settings) -> str | None:
    """A sentence about the first value of the settings that is outside its limits; None if there is none."""
    for key, value, field in numbers(settings):
        parts = value if isinstance(value, tuple) else (value,)
        if "choices" in field.metadata:
            choices = field.metadata["choices"]
            for part in parts:
                if part not in choices:
                    return f"{key} is {part!r}, but it must be one of {', '.join(map(str, choices))}"
        if "bounds" in field.metadata:
            low, high = field.metadata["bounds"]
            if not all(low <= number <= high for number in parts):
                return f"{key} is {value}, but it must {_bounds(low, high)}"
    return None


def _bounds(low: float, high: float) -> str:
    least = "be above 0" if low == ABOVE_0 else f"be at least {low}"
    if high == ANY:
        return least
    return f"{least} and {'below 1' if high == BELOW_1 else f'at most {high}'}"

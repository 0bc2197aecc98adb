"""One pass over a clip: every frame is read once and shown to all that want to see it."""

import logging
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from ...runtime import is_out_of_memory
from ...workers.ahead import read_ahead
from .. import extractors, faces
from ..clips import Clip, ClipError
from ..settings import Settings


class Fact(str):
    """A sentence on the content of a clip, true whenever it is read again: kept like numbers.

    Clips of another name may have that content, so where it speaks of the clip stands `clips.CLIP`.
    """


Result = dict[str, np.ndarray] | str
Tick = Callable[[], None]


def extract(clip: Clip, wanted: list[str], settings: Settings, tick: Tick, limit: int = 0) -> dict[str, Result]:
    """Run the named extractors over a clip (or over its first `limit` frames).

    Each result is the extractor's arrays, or a sentence that says why it has none; one that fails does not disturb the
    others. `tick` is called before each frame, and may raise to cancel.

    Raises
    ------
    ValueError : the clip cannot be read at all.
    """
    results: dict[str, Result] = {}
    fps = clip.fps()
    with ExitStack() as stack:
        active = {}
        for name in wanted:
            try:
                active[name] = stack.enter_context(extractors.EXTRACTORS[name](clip, fps, settings))
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                results[name] = _sentence(name, error)
        needs_face = any(extractor.needs_face for extractor in active.values())
        finder = stack.enter_context(faces.FaceFinder()) if needs_face else None
        for index, (seconds, picture) in enumerate(read_ahead(clip.frames())):
            if limit and index >= limit or not active:
                break
            tick()
            face = finder(picture) if finder else None
            _each(active, results, lambda extractor: extractor.frame(seconds, picture, face))  # noqa: B023
        _each(active, results, lambda extractor: extractor.finish(), results)
    return results


def _each(active: dict, results: dict[str, Result], step: Callable, keep: dict | None = None) -> None:
    """Do a step of every extractor; one that fails leaves with its sentence."""
    for name, extractor in list(active.items()):
        try:
            outcome = step(extractor)
            if keep is not None:
                keep[name] = outcome
        except Exception as error:
            if is_out_of_memory(error):
                raise
            del active[name]
            results[name] = _sentence(name, error)
            if keep is not None and isinstance(error, ValueError):
                # Every frame was seen, and they do not suffice.
                results[name] = Fact(error)


def _sentence(name: str, error: Exception) -> str:
    if isinstance(error, ValueError):
        return Fact(error) if isinstance(error, ClipError) else str(error)
    logging.debug("%s failed", name, exc_info=error)
    reason = (str(error).strip().splitlines() or [""])[0]
    return f"{name} failed with {type(error).__name__}: {reason}"

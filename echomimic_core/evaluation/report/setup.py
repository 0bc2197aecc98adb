"""How numbers came about: when, by which command and versions, from which files, by which protocol."""

import platform
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

from ...networks.local import NETWORKS
from ..clips import Clip
from ..methods import Comparison
from ..sets import FrameFolder
from ..settings import Settings

PACKAGES = ("torch", "numpy", "scipy", "av", "opencv-python-headless", "onnxruntime", "mediapipe", "librosa")


@dataclass
class Setup:
    """What has to be known to repeat an evaluation.

    Attributes
    ----------
    date : ISO 8601, UTC. command : as it was typed, empty from a graph. versions : of the pack and its packages.
    networks : file name and SHA-256 of each network that was there. data : SHA-256 of every clip, by "which/name".
    protocol : how clips were paired, their frame rates, and the settings that change numbers.
    """

    date: str = ""
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict:
        return asdict(self)


def describe(comparison: Comparison, settings: Settings, command: str = "", named: str = "") -> Setup:
    """The setup of evaluations that were made just now; `named` says what names the pairs, if not the files' names."""
    data = {}
    for method, evaluation in comparison.methods.items():
        for which, clips in (
            (method or "generated", evaluation.sources),
            ("real", evaluation.real | evaluation.real_set),
        ):
            for name, clip in clips.items():
                try:
                    data[f"{which}/{name}"] = clip.fingerprint() or ""
                except OSError:
                    # Taken away meanwhile: its numbers are there, its hash is not.
                    continue
    return Setup(
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command,
        _versions(),
        _networks(settings),
        data,
        _clips_protocol(comparison, named) | settings.protocol(),
    )


def _clips_protocol(comparison: Comparison, named: str) -> dict[str, str]:
    evaluations = comparison.methods.values()
    pairs = list(dict.fromkeys(evaluation.pairing for evaluation in evaluations))
    made = [clip for evaluation in evaluations for clip in evaluation.sources.values()]
    real = {id(clip): clip for e in evaluations for clip in (*e.real.values(), *e.real_set.values())}
    protocol = {"pairs": "; ".join([*pairs, *([named] if named else [])]), "generated": _rates(made)}
    return protocol | ({"real": _rates(real.values())} if real else {})


def _rates(clips: Iterable[Clip]) -> str:
    """Frame rates and how many clips have each."""
    counts = Counter()
    for clip in clips:
        with suppress(ValueError, OSError):
            given = ", as given by --frame-rate" if isinstance(clip, FrameFolder) else ""
            counts["poses" if clip.kind == "pose" else f"{clip.fps():.4g} fps{given}"] += 1
    return "; ".join(f"{rate} ({count} clip{'' if count == 1 else 's'})" for rate, count in sorted(counts.items()))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("echomimicv2", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _networks(settings: Settings) -> dict[str, str]:
    found = {}
    for name in NETWORKS:
        try:
            if path := settings.find(name):
                found[name] = f"{path.name}, SHA-256 {settings.fingerprint(name)[:64]}"
        except (ValueError, OSError):
            continue
    return found

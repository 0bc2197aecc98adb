"""What has to be known of a run to repeat or to judge it: versions, the machine, and a card beside every export."""

import json
import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ...files.durable import write_text
from ..settings import Settings
from .records import LOG, MEASURED

PACKAGES = ("torch", "accelerate", "diffusers", "transformers", "numpy")
CARD = "README.md"
# Bytes a parameter takes in a checkpoint: its weight and the two moments of AdamW.
_STATE_BYTES = 12


def versions() -> dict[str, str]:
    """Python's, the packages' and the pack's; of a checkout the commit as well."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    root = Path(__file__).resolve().parents[3]
    if (root / "pyproject.toml").is_file():
        line = re.search(r'^version = "(.+)"', (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        found |= {"echomimicv2": line[1]} if line else {}
    return found | ({"commit": commit} if (commit := read_commit(root)) else {})


def read_commit(root: Path) -> str | None:
    """The commit of a checkout, None where there is none."""
    try:
        git = root / ".git"
        if git.is_file():
            git = (root / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        shared = git / (git / "commondir").read_text("utf-8").strip() if (git / "commondir").exists() else git
        name = head.removeprefix("ref: ")
        if (shared / name).is_file():
            return (shared / name).read_text("utf-8").strip()
        packed = (shared / "packed-refs").read_text("utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except OSError:
        return None


def device_name(device: torch.device) -> str:
    """The card's name, or the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine() if device.type == "cpu" else device.type


def checkpoint_bytes(trained: int, parameters: int, settings: Settings) -> int:
    """About how large a checkpoint is: of so many trained and so many parameters in all."""
    exported = torch.finfo(getattr(torch, settings.checkpoint.dtype)).bits // 8 * len(settings.checkpoint.formats)
    state = trained * (_STATE_BYTES + 4 * (settings.train.ema_decay > 0))
    return state + (trained * 2 if settings.lora.rank else parameters * exported)


def tell_space(output: Path, one: int, keep: int) -> tuple[str, bool]:
    """How much of the disk checkpoints will take, by a sentence, and whether there is so much.

    While one is written, the others are still there.
    """
    place = output
    while not place.exists():
        place = place.parent
    needed, free = one * (keep + 1), shutil.disk_usage(place).free
    return (
        f"checkpoints take about {one / 2**30:.1f} GiB each, {needed / 2**30:.1f} GiB with checkpoint.keep={keep}; "
        f"{free / 2**30:.1f} GiB are free at {place}",
        needed <= free,
    )


def write_card(folder: Path, output: Path, run: dict) -> None:
    """The card of a checkpoint: what it was made from, how, and its last numbers; `run` as in its run.json."""
    settings = run["settings"]
    data = settings["data"]
    sources = "\n".join(f"- {os.path.basename(os.path.normpath(folder)) or folder}" for folder in data["folders"])
    started = settings["init"]["source"]
    numbers = {**_last_line(output / LOG, run["step"]), **_last_line(output / MEASURED, run["step"], "held_out_")}
    shown = "\n".join(f"| {name} | {value} |" for name, value in numbers.items())
    made = "\n".join(f"| {name} | {value} |" for name, value in versions().items())
    text = f"""# EchoMimicV2, trained for {run["step"]} steps

Stage {settings["train"]["stage"]}; every step saw {run["samples_per_step"]} clips of {data["frames"]} frames at
{data["size"]} pixels. It began with: {started}.

## Data

{sources}

Digest of the clips: {run["clips"] or "unknown"}. Before you share these weights, make sure you know whose faces
and voices they learned from, and what those people agreed to.

## Numbers at this step

| | |
| --- | --- |
{shown}

## Made with

| | |
| --- | --- |
{made}

## Settings

```json
{json.dumps(settings, indent=1)}
```
"""
    write_text(folder / CARD, text)


def _last_line(log: Path, step: int, prefix: str = "") -> dict[str, float]:
    """The numbers of the last line up to a step."""
    if not log.exists():
        return {}
    lines = (json.loads(line) for line in log.read_text("utf-8").splitlines())
    known = [line for line in lines if line["step"] <= step]
    return {f"{prefix}{name}": value for name, value in known[-1].items() if name != "step"} if known else {}

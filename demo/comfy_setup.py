"""A real ComfyUI for the demo and the tests, on any machine, with the standard library only.

Everything made here is in `.cache/` of the repository: a virtual environment, a ComfyUI and private base
directories. Set COMFYUI_PATH to use a ComfyUI you have; its own Python is used as it is (COMFYUI_PYTHON names it
where it cannot be found), and nothing is ever installed into it.
"""

from __future__ import annotations  # So that an old Python gets to the sentence about its age

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from comfy_basics import CACHE, REPO, SetupError, disk_full, dotted, say, tail
from comfy_trees import as_numbers, newest_tree, tree_of_version, version_of

LOG = CACHE / "setup.log"
VENV = CACHE / "venv"

# Three releases that belong together: unpinned, torchvision would replace torch by the build that it was made for.
TORCH = ("torch==2.13.0", "torchvision==0.28.0", "torchaudio==2.11.0")
# ComfyUI's own choice of attention on a CPU takes twice as long as torch's.
CPU_ARGUMENTS = ("--cpu", "--use-pytorch-cross-attention")
SERVES = "ComfyUI "  # In the environment's marker, before a version whose packages are installed.
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)


@dataclass(frozen=True)
class Installation:
    """A ComfyUI tree and the Python that runs it."""

    comfyui: Path
    python: Path


def prepare(
    extra_packages: tuple[str, ...] = (), version: str | None = None, archives: Path | None = None
) -> Installation:
    """Make ready a real ComfyUI with everything the pack needs, and `extra_packages` (requirement strings).

    `version` asks for that very ComfyUI, in the cache, whatever else is on the machine; a folder `archives` may hold
    it. The second call finds everything in place and takes a second. Raises SetupError.
    """
    try:
        CACHE.mkdir(exist_ok=True)
        given = None if version else os.environ.get("COMFYUI_PATH") or surrounding_comfyui()
        if not given:
            check_python()
            make_venv()
            comfyui = tree_of_version(version, pip, archives) if version else newest_tree(pip)
        else:
            comfyui = check_comfyui(Path(given).expanduser().resolve())
            python = python_of(comfyui)
            if python:
                say(f"using ComfyUI in {comfyui} with its own Python, {python}")
                check_packages(python, extra_packages)
                return Installation(comfyui, python)
            say(f"using ComfyUI in {comfyui}, which has no Python environment of its own: making one")
            check_python()
            make_venv()
        install_packages(comfyui, extra_packages)
        return Installation(comfyui, venv_python())
    except OSError as error:
        if error.errno == 28:
            raise SetupError(disk_full()) from error
        raise SetupError(f"Cannot set up ComfyUI in {CACHE}: {error}") from error


def check_python() -> None:
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        oldest, newest, here = map(dotted, (OLDEST_PYTHON, NEWEST_PYTHON, sys.version_info[:3]))
        raise SetupError(
            f"This is Python {here}, but ComfyUI's packages exist for Python {oldest} to {newest}: "
            "install one of these, 3.11 or 3.12 best, and run this script with it."
        )


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv() -> None:
    """Make the virtual environment, unless a sound one of this Python version is there."""
    version = dotted(sys.version_info[:2])
    if venv_python().exists():
        probe = [venv_python(), "-c", "import sys, pip; print(*sys.version_info[:2], sep='.')"]
        found = subprocess.run(probe, capture_output=True, text=True)
        if found.stdout.strip() == version:
            return
    if VENV.exists():
        shutil.rmtree(VENV)
    say(f"making a virtual environment of Python {version}")
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        output = made.stdout + made.stderr
        if "ensurepip" in output or "No module named venv" in output:
            raise SetupError(
                f"Python {version} here cannot make virtual environments: install its venv module "
                f"(Debian, Ubuntu: sudo apt install python{version}-venv) and run this again."
            )
        raise SetupError(f"Making the virtual environment {VENV} failed:\n{tail(output)}")


def surrounding_comfyui() -> Path | None:
    """Return the ComfyUI whose custom_nodes folder this repository is in."""
    custom_nodes, comfyui = REPO.parent, REPO.parent.parent
    return comfyui if custom_nodes.name == "custom_nodes" and (comfyui / "main.py").is_file() else None


def check_comfyui(path: Path) -> Path:
    if not (path / "main.py").is_file() or not (path / "folder_paths.py").is_file():
        raise SetupError(
            f"COMFYUI_PATH is {path}, but there is no ComfyUI in it (no main.py): "
            "set it to the folder that holds ComfyUI's main.py, or unset it to have one fetched."
        )
    return path


def python_of(comfyui: Path) -> Path | None:
    """Return the Python of a user's ComfyUI, or None where it has no environment."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        python = Path(shutil.which(named) or named).expanduser()
        if not python.exists():
            raise SetupError(f"COMFYUI_PYTHON is {named}, but there is no such program.")
        return python
    places = [
        comfyui / name / program for name in ("venv", ".venv") for program in ("bin/python", "Scripts/python.exe")
    ]
    places.append(comfyui.parent / "python_embeded" / "python.exe")  # The portable build, spelled so
    for python in [*places, Path(sys.executable)]:
        if (
            python.exists()
            and not subprocess.run([python, "-c", "import torch, aiohttp"], capture_output=True).returncode
        ):
            return python
    return None


def device_arguments(python: Path) -> tuple[str, ...]:
    """Return what ComfyUI must be told where torch sees nothing faster than the CPU."""
    code = "import sys, torch; sys.exit(not torch.accelerator.is_available())"
    if not subprocess.run([python, "-c", code], capture_output=True).returncode:
        return ()
    return CPU_ARGUMENTS


def check_packages(python: Path, extra_packages: tuple[str, ...]) -> None:
    """Raise SetupError if a Python that is not ours lacks a package."""
    wanted = [*read_requirements(REPO / "requirements.txt"), *extra_packages]
    names = [re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0] for line in wanted if "platform" not in line]
    code = (
        "import sys, importlib.metadata as m\n"
        "def there(name):\n"
        "    try: return bool(m.distribution(name))\n"
        "    except m.PackageNotFoundError: return False\n"
        "print(*(name for name in sys.argv[1:] if not there(name)))"
    )
    missing = subprocess.run([python, "-c", code, *names], capture_output=True, text=True).stdout.split()
    if missing:
        raise SetupError(
            f"The Python of your ComfyUI lacks {', '.join(missing)}. Install them there and run this again:\n"
            f'  "{python}" -m pip install -r "{REPO / "requirements.txt"}" {" ".join(extra_packages)}'.rstrip()
        )


def read_requirements(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def install_packages(comfyui: Path, extra_packages: tuple[str, ...]) -> None:
    """Install torch, ComfyUI's and our requirements into the virtual environment, unless they are in it.

    It serves several versions of ComfyUI: the packages of the newest run the older ones as well.
    """
    marker = VENV / "installed.json"
    done = json.loads(marker.read_text()) if marker.exists() else []
    version = version_of(comfyui)
    theirs = read_requirements(comfyui / "requirements.txt")
    if any(as_numbers(served) > as_numbers(version) for served in served_versions(done)):
        theirs = [line for line in theirs if "==" not in line]
    wanted = [
        *TORCH,
        "requests",  # ComfyUI 0.3.75 imports it and counted on transformers to bring it
        *theirs,
        *read_requirements(REPO / "requirements.txt"),
        *extra_packages,
    ]
    digest = hashlib.sha256(json.dumps([wanted, repair_code()]).encode()).hexdigest()
    if digest in done:
        return
    started = time.monotonic()
    say("installing torch, ComfyUI's packages and ours (about 2 GB; minutes at the first time)")
    pip("install", "--no-warn-script-location", *wanted)
    repaired = subprocess.run([venv_python(), "-c", repair_code()], capture_output=True, text=True)
    if repaired.returncode:
        raise SetupError(f"torch does not work on this machine:\n{tail(repaired.stdout + repaired.stderr)}")
    if any("mediapipe" in line for line in wanted) and not imports("cv2"):
        # The usual OpenCV asks for libGL, which a server without a screen lacks.
        pip("uninstall", "-y", "opencv-contrib-python", "opencv-python")
        pip("install", "--force-reinstall", "--no-deps", "opencv-python-headless")
    unfinished = marker.with_suffix(".part")
    unfinished.write_text(json.dumps([*done, digest, SERVES + version]))
    unfinished.replace(marker)
    say(f"installed in {time.monotonic() - started:.0f} s")


def served_versions(done: list[str]) -> list[str]:
    """Versions of ComfyUI whose packages are in the environment, by the entries of its marker."""
    return [entry.removeprefix(SERVES) for entry in done if entry.startswith(SERVES)]


def imports(module: str) -> bool:
    return not subprocess.run([venv_python(), "-c", f"import {module}"], capture_output=True).returncode


def repair_code() -> str:
    return (Path(__file__).parent / "torch_repair.py").read_text(encoding="utf-8")


def pip(*arguments: str) -> None:
    """Run the virtual environment's pip, its output in LOG. Raises SetupError with a sentence."""
    command = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    with LOG.open("w", encoding="utf-8") as log:
        failed = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    if not failed:
        return
    output = LOG.read_text(encoding="utf-8", errors="replace")
    if "No space left" in output or "Errno 28" in output:
        raise SetupError(disk_full())
    if re.search(r"connection broken|Network is unreachable|Connection\w*Error|Timeout", output):
        raise SetupError(
            "The Python packages cannot be downloaded: check the network connection (and the proxy, if there is one) "
            f"and run this again. Details: {LOG}"
        )
    if "No matching distribution" in output:
        missing = re.findall(r"No matching distribution found for (\S+)", output)[-1]
        raise SetupError(
            f"{missing} cannot be had for Python {dotted(sys.version_info[:3])} on this machine ({sys.platform}). "
            f"Check the network connection; if that is fine, try Python 3.11 or 3.12. Details: {LOG}"
        )
    raise SetupError(f"pip {arguments[0]} failed; the end of {LOG}:\n{tail(output)}")


def make_base(base: Path) -> Path:
    """Make a base directory for ComfyUI, with this pack under custom_nodes, and return it."""
    for name in ("custom_nodes", "input", "output", "models", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    link_pack(base / "custom_nodes" / "echomimicv2")
    return base


def link_pack(target: Path) -> None:
    """Show the repository under another folder: a link, a junction, or where neither can be made a copy."""
    if target.is_symlink() or (os.name == "nt" and target.exists() and target.resolve() == REPO):
        if target.resolve() == REPO:
            return
        target.unlink()
    elif target.exists():
        shutil.rmtree(target)
    try:
        target.symlink_to(REPO, target_is_directory=True)
        return
    except OSError:
        if (
            os.name == "nt"
            and not subprocess.run(
                ["cmd", "/c", "mklink", "/J", str(target), str(REPO)], capture_output=True
            ).returncode
        ):
            return
    shutil.copytree(REPO, target, ignore=shutil.ignore_patterns(".cache", ".git", "__pycache__", "output"))

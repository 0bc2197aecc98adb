"""Run the tests on a fresh machine: python3 tests/run.py [arguments for pytest]; standard library only.

Sets up a real ComfyUI (see demo/comfy_setup.py) and runs pytest in its Python. The exit code is pytest's. Tests marked
slow, which train networks, and those marked release, the longest ones and every template in every mode of the page,
are left out: -m "" runs all, -m "not release" what CI runs, -m slow only the slow ones.

--comfyui VERSION before them runs on that ComfyUI, say 0.33.0 or 0.3.75; -m both_ends is the short set that CI runs on
the older one. --frontends VERSION ... fetches these pages of ComfyUI, in which the templates are opened as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "demo"))

from comfy_setup import CACHE, SetupError, pip, prepare, read_requirements  # noqa: E402
from comfy_trees import kept  # noqa: E402

# The evaluation's numbers are held against those of scikit-image and torchmetrics; onnx writes its .onnx files;
# triton interprets and compiles kernels without a card.
PACKAGES = (
    *("pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100", "ruff==0.17.5"),
    *("scikit-image>=0.22", "torchmetrics>=1.4", "onnx", "onnxruntime"),
    *(("triton>=3.2",) if sys.platform == "linux" else ()),
)
MOST_WORKERS = 4  # Each may hold a few GB
# Where a release of ComfyUI may lie as an archive, so that it need not be cloned.
ARCHIVES = REPO.parent / "shared" / "comfyui"
STATIC = "comfyui_frontend_package/static"  # In the wheel of ComfyUI's page
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def find_browser() -> str | None:
    """Return a Chromium of this machine: CHROMIUM names it where it is not on the PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for path in map(shutil.which, BROWSERS) if path), None)


def frontend_of_version(version: str) -> Path:
    """The page of ComfyUI of a version, in the cache; fetched from PyPI where it is not there yet."""

    def fetch(target: Path) -> None:
        downloads = CACHE / "downloads"
        pip("download", "--no-deps", f"comfyui-frontend-package=={version}", "-d", str(downloads))
        (wheel,) = downloads.glob(f"comfyui_frontend_package-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        wheel.unlink()

    target = CACHE / f"frontend-{version}"
    return kept(target, fetch, f"{STATIC}/index.html") / STATIC


def main(arguments: list[str]) -> int:
    browser = find_browser()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--comfyui")
    parser.add_argument("--frontends", nargs="+", default=[])
    options, arguments = parser.parse_known_args(arguments)
    try:
        # mediapipe brings an OpenCV of its own, beside which there must be no other.
        training = read_requirements(REPO / "requirements-training.txt")
        packages = [*PACKAGES, *(line for line in training if "opencv" not in line)]
        packages += read_requirements(REPO / "requirements-mediapipe.txt")
        packages += read_requirements(REPO / "requirements-ray.txt")
        packages += ["playwright"] if browser else []
        installation = prepare(tuple(packages), options.comfyui, ARCHIVES)
        frontends = [str(frontend_of_version(version)) for version in options.frontends]
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    # The networks of the tests are tiny: a process on each core beats threads that share one.
    environment = {**os.environ, "COMFYUI_PATH": str(installation.comfyui), "OMP_NUM_THREADS": "1"}
    workers = str(min(os.cpu_count() or 1, MOST_WORKERS))
    if browser:
        environment["CHROMIUM"] = browser
    environment["COMFYUI_FRONTENDS"] = os.pathsep.join(frontends)
    command = [str(installation.python), "-m", "pytest", "-n", workers, "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", "-m", "not slow and not release", *arguments]
    return subprocess.run(command, cwd=REPO, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Installing the pack's requirements changes nothing in an artist's ComfyUI: python -m tests.environments.

Each environment is resolved by pip from the requirements of a real ComfyUI, and laid down as what pip looks at: names,
versions and what they need, no code. Then `pip install --dry-run -r requirements.txt` has to plan nothing.
Needs PyPI, and minutes. The exit code is the number of environments in which something would change.
"""

import json
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "demo"))

from comfy_setup import make_venv, pip  # noqa: E402
from comfy_trees import tree_of_version  # noqa: E402

from tests.run import ARCHIVES  # noqa: E402

OPENCV = ("opencv-python<5", "opencv-python-headless<5", "opencv-contrib-python<5")


@dataclass(frozen=True)
class Environment:
    """A ComfyUI's requirements, and what an artist has besides."""

    comfyui: str
    besides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " with ".join([f"ComfyUI {self.comfyui}", ", ".join(self.besides)] if self.besides else [self.comfyui])


ENVIRONMENTS = (
    Environment("0.33.0"),
    Environment("0.33.0", OPENCV),
    Environment("0.3.75", ("numpy<2", *OPENCV)),
    # Packages of autumn 2025, as ComfyUI 0.3.64 installed them.
    Environment("0.3.75", ("numpy<2", "transformers<5", "huggingface_hub<1", "av<16", *OPENCV)),
)


def plan(python: Path, *arguments: str) -> list[dict]:
    """What pip would install: the metadata of each package. Raises CalledProcessError with pip's words."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run", "--report", "-"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return [entry["metadata"] for entry in json.loads(done.stdout)["install"]]


def lay_down(packages: list[dict], site: Path) -> None:
    """Write what pip reads of installed packages."""
    for package in packages:
        name, version = package["name"], package["version"]
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {needed}" for needed in package.get("requires_dist", [])]
        lines += [f"Provides-Extra: {extra}" for extra in package.get("provides_extra", [])]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "INSTALLER").write_text("pip\n", encoding="utf-8")
        (folder / "RECORD").write_text("", encoding="utf-8")


def changes(environment: Environment, folder: Path) -> list[str]:
    """What installing our requirements would change in an environment, made in an empty folder."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    theirs = tree_of_version(environment.comfyui, pip, ARCHIVES) / "requirements.txt"
    packages = plan(python, "-r", str(theirs), *environment.besides)
    (site,) = [path for path in folder.rglob("site-packages") if path.is_dir()]
    lay_down(packages, site)
    print(f"{environment}: {len(packages)} packages", flush=True)
    return [f"{entry['name']} {entry['version']}" for entry in plan(python, "-r", str(REPO / "requirements.txt"))]


def main() -> int:
    make_venv()
    failed = 0
    for environment in ENVIRONMENTS:
        with tempfile.TemporaryDirectory() as folder:
            planned = changes(environment, Path(folder) / "environment")
        print(f"  would change: {', '.join(planned) or 'nothing'}", flush=True)
        failed += bool(planned)
    return failed


if __name__ == "__main__":
    sys.exit(main())

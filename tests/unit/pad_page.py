"""The Pose Pad's page without a browser: a script beside the tests uses its modules by node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "web" / "pose_pad"
_SCRIPTS = Path(__file__).parent / "pose" / "pad"


def ask(folder: Path, script: str, asked: dict | None = None) -> dict:
    """What a script answers, as JSON, to what it is asked; the page's modules are copied into the folder."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    for path in PAGE.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "asked.json").write_text(json.dumps(asked or {}))
    command = ["node", str(_SCRIPTS / script), str(folder), str(folder / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

"""render on a real Ray cluster: the pictures of a plain run, jobs that fail, a driver that is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")
pytest.importorskip("diffusers")

import tiny_models  # noqa: E402

from echomimic_core.render import __main__ as render  # noqa: E402

REPO = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Flags, and two voices of half a second for a picture at 64 x 64, by a random model."""
    import wave

    folder = tmp_path_factory.mktemp("render")
    tiny_models.write(folder / "models")
    voices = folder / "voices"
    voices.mkdir()
    for name, pitch in (("one", 20), ("two", 35)):
        with wave.open(str(voices / f"{name}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
            file.writeframes((9000 * np.sin(np.arange(8000) / pitch)).astype("<i2").tobytes())
    models = ("--model", folder / "models" / "echomimic" / tiny_models.MODEL_NAME)
    models += ("--vae", folder / "models" / "vae" / tiny_models.VAE_NAME)
    clip = ("--width", 64, "--height", 64, "--steps", 2, "--format", "png", "--device", "cpu")
    demo = REPO / "demo" / "inputs"
    inputs = ("--image", demo / "character.png", "--pose", demo / "gesture.json", "--audio", voices)
    return voices, [*map(str, (*models, *clip, *inputs))]


def pictures(folder: Path) -> dict[str, list[bytes]]:
    clips = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return {clip.name: [path.read_bytes() for path in sorted(clip.glob("*.png"))] for clip in clips}


def test_clips_are_those_of_a_plain_run_and_a_broken_one_fails_alone(cluster, job, tmp_path, capfd):
    voices, flags = job
    plain, spread, jobs = tmp_path / "plain", tmp_path / "spread", tmp_path / "jobs.jsonl"
    # A damaged pose, which only the worker finds out.
    rows = [{"audio": "one.wav"}, {"audio": "one.wav", "pose": "one.wav", "output": "broken"}, {"audio": "two.wav"}]
    rows = [{key: str(voices / name) if ".wav" in name else name for key, name in row.items()} for row in rows]
    jobs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    flags = [*flags[: flags.index("--audio")], str(jobs)]
    assert render.main([*flags, "--out", str(plain)]) == 1
    assert render.main([*flags, "--out", str(spread), "--ray", cluster.address]) == 1
    assert capfd.readouterr().err.count("failed: ") == 2
    assert sorted(pictures(spread)) == ["one", "two"] and pictures(spread) == pictures(plain)
    journals = [(folder / "journal.jsonl").read_text("utf-8").splitlines() for folder in (plain, spread)]
    journals = [{(Path(e["output"]).name, e.get("failed")) for e in map(json.loads, lines)} for lines in journals]
    assert journals[0] == journals[1] and len(journals[0]) == 3


def test_a_killed_driver_leaves_whole_clips_and_the_next_makes_the_rest(cluster, job, tmp_path):
    _, flags = job
    out = tmp_path / "out"
    command = [sys.executable, "-m", "echomimic_core.render", *flags, "--out", str(out), "--ray", cluster.address]
    here_only = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    command += ["--workers", "1"]
    with subprocess.Popen(command, cwd=REPO, env=here_only, stdout=subprocess.PIPE, text=True) as driver:
        first = driver.stdout.readline()
        driver.send_signal(signal.SIGKILL)
    assert Path(first.strip()).is_dir() and not list(out.glob("two*"))
    before = os.stat(first.strip()).st_mtime_ns
    assert render.main([*flags, "--out", str(out), "--resume"]) == 0
    made = pictures(out)
    assert sorted(made) == ["one", "two"] and all(len(pages) == 12 for pages in made.values())
    assert os.stat(first.strip()).st_mtime_ns == before and not list(out.glob(".*"))

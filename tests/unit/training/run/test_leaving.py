"""A run that is asked to stop saves, leaves with the signal's status, and goes on as if it had not been stopped."""

import json
import os
import signal
import subprocess

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")

import training_clips as clips  # noqa: E402
from training_runs import REPO, command, environment, run, weights, write_config  # noqa: E402

from echomimic_core.training.run.checkpoint import choose_checkpoint  # noqa: E402
from echomimic_core.training.run.leaving import Requests  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaving")
    clips.two_clips(folder / "clips", frames=12, headshot=True)
    clips.write_vae(folder / "vae.safetensors")
    return folder


def test_the_first_signal_is_noted_and_the_second_acts():
    # A shell's background jobs ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Requests() as requests:
        assert requests.asked is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.asked == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_auto_starts_where_there_is_nothing_and_goes_on_where_there_is(tmp_path):
    assert choose_checkpoint(tmp_path, "auto") is None
    for step in (2, 4):
        folder = tmp_path / f"step-{step:08d}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"step": step, "settings": {"train": {}}}))
    assert choose_checkpoint(tmp_path, "auto").name == "step-00000004"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(data, tmp_path, number):
    config = write_config(tmp_path, data, train={"steps": 400}, checkpoint={"every": 400})
    log = tmp_path / "run" / "losses.jsonl"
    # A shell's background jobs ignore Ctrl-C, and so would what they start
    process = subprocess.Popen(
        command(config, "--resume", "auto"),
        cwd=REPO,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (log.exists() and log.read_text().strip()):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    (saved,) = (tmp_path / "run").glob("step-*")
    step = int(saved.name.split("-")[1])
    assert f"stopped by {number.name} after {saved.name} was saved: --resume continues from there" in said
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, step + 1))
    assert all(line["seconds"] >= line["data_wait"] >= 0 and line["samples_per_second"] > 0 for line in lines)
    code, output = run(config, "--resume", "auto", "--set", f"train.steps={step + 1}")
    assert code == 0, output
    assert len(log.read_text().splitlines()) == step + 1 and weights(tmp_path, step + 1)

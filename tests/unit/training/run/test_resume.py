"""Resuming continues one run and overwrites nothing; what goes wrong on disk is a sentence."""

import json
import shutil

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")

import training_clips as clips  # noqa: E402
from training_runs import fresh_accelerate, settings_of, weights, write_config  # noqa: E402, F401  (a fixture of every test)

from echomimic_core.training.__main__ import main  # noqa: E402
from echomimic_core.training.settings import SettingsError  # noqa: E402

CALM = {"ema_decay": 0.0, "gradient_checkpointing": False, "parts": ["pose_encoder"]}
NO_TERMS = {"pose": 0, "detail": 0, "low": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    clips.two_clips(folder / "clips", frames=6)
    clips.write_vae(folder / "vae.safetensors")
    return folder


def quick(folder, files, steps=2, **sections):
    """A run that trains next to nothing and saves after every step."""
    train = CALM | {"steps": steps, "batch_size": 2} | sections.pop("train", {})
    defaults = {"loss": NO_TERMS, "checkpoint": {"every": 1, "keep": 5}}
    return write_config(folder, files, train=train, **defaults | sections)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of two steps with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("finished")
    assert main([str(quick(folder, data))]) == 0
    return folder / "run"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_resuming_an_older_checkpoint_never_touches_newer_ones(finished, data, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    config, before = quick(tmp_path, data, steps=3), contents(tmp_path / "run")
    assert main([str(config), "--resume", str(tmp_path / "run" / "step-00000001")]) == 1
    error = capsys.readouterr().err
    assert "contains newer checkpoints than step-00000001: step-00000002" in error
    assert "resume the newest by --resume alone, or set another 'output'" in error
    assert contents(tmp_path / "run") == before


def test_another_output_branches_off_from_an_older_checkpoint(finished, data, tmp_path):
    before = contents(finished)
    assert main([str(quick(tmp_path, data)), "--resume", str(finished / "step-00000001")]) == 0
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == ["step-00000002"]
    assert contents(finished) == before


def test_another_run_is_not_mixed_into(finished, data, tmp_path, capsys):
    shutil.copytree(finished / "step-00000001", tmp_path / "run" / "step-00000001")
    before = contents(tmp_path)
    config = quick(tmp_path, data, steps=3)
    assert main([str(config), "--resume", str(finished / "step-00000002")]) == 1
    assert "already contains a run, up to step-00000001" in capsys.readouterr().err
    assert contents(tmp_path / "run") == {path: value for path, value in before.items() if path != config}


def test_a_step_must_go_on_with_as_many_samples(finished, data, tmp_path):
    from echomimic_core.training.run.checkpoint import check_same_run

    assert json.loads((finished / "step-00000002" / "run.json").read_text())["samples_per_step"] == 2

    def at(processes, batch, accumulation):
        shares = CALM | {"steps": 3, "batch_size": batch, "accumulation": accumulation}
        now = settings_of(tmp_path, data, train=shares, loss=NO_TERMS)
        check_same_run(finished / "step-00000002", now, processes)

    for shares in ((1, 2, 1), (1, 1, 2), (2, 1, 1)):
        at(*shares)
    with pytest.raises(SettingsError, match="from 2 samples, but now from 4 .* x 2 processes.*product is 2"):
        at(2, 2, 1)
    with pytest.raises(SettingsError, match=r"now from 1 \(train.batch_size 1 x train.accumulation 1 x 1 process\)"):
        at(1, 1, 1)


def test_the_command_refuses_other_numbers_of_samples(finished, data, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    assert main([str(quick(tmp_path, data, steps=3)), "--resume", "--set", "train.batch_size=3"]) == 1
    assert "from 2 samples, but now from 3" in capsys.readouterr().err


def distance(one, two):
    """The largest difference between two runs' weights."""
    return max((one[name] - two[name]).abs().max().item() for name in one)


def train(folder, data, steps, *arguments, **sections):
    """Train to `steps`, and the weights then."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    folder.mkdir(exist_ok=True)
    sharp = {"optimizer": {"learning_rate": 1e-3, "warmup_steps": 0}}
    assert main([str(quick(folder, data, steps=steps, **sharp | sections)), *arguments]) == 0
    return weights(folder, steps)


def test_other_shares_of_a_step_go_on_to_the_same_weights(data, tmp_path):
    whole = train(tmp_path / "whole", data, 3)
    # An odd number of batches before the cut, two a step after it
    shutil.copytree(tmp_path / "whole" / "run" / "step-00000001", tmp_path / "cut" / "run" / "step-00000001")
    shared = {"batch_size": 1, "accumulation": 2}
    assert distance(whole, train(tmp_path / "cut", data, 3, "--resume", train=shared)) < 1e-4


def test_dropout_follows_from_the_seed_and_goes_on_as_it_would_have(data, tmp_path):
    import torch

    lora = {"lora": {"rank": 2, "dropout": 0.5}}
    torch.manual_seed(1)
    whole = train(tmp_path / "whole", data, 2, **lora)
    torch.manual_seed(2)
    assert distance(weights(tmp_path / "whole", 1), train(tmp_path / "cut", data, 1, **lora)) == 0.0
    torch.manual_seed(3)
    assert distance(whole, train(tmp_path / "cut", data, 2, "--resume", **lora)) == 0.0


@pytest.mark.parametrize("name", ["run.json", "state/trained.safetensors", "state/optimizer.bin"])
def test_a_damaged_checkpoint_is_named(finished, data, tmp_path, capsys, name):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "step-00000002" / name).write_bytes(b"{")
    assert main([str(quick(tmp_path, data, steps=3)), "--resume"]) == 1
    error = capsys.readouterr().err
    assert "step-00000002" in error and "is damaged" in error and "move" in error
    assert len(error.strip().splitlines()) == 1


def test_an_output_that_cannot_be_written_is_a_sentence(data, tmp_path, capsys):
    (tmp_path / "run").write_text("a file, not a folder")
    assert main([str(quick(tmp_path, data))]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path / 'run'}" in error and "'output' folder that can be written" in error


def test_a_full_disk_keeps_the_checkpoints_of_before(finished, data, tmp_path, capsys, monkeypatch):
    from echomimic_core.training.run import checkpoint

    def full(*arguments, **options):
        raise RuntimeError("No space left on device (os error 28)\nand more")

    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.setattr(checkpoint, "save_one_file", full)
    assert main([str(quick(tmp_path, data, steps=3)), "--resume"]) == 1
    error = capsys.readouterr().err
    assert "step-00000003 could not be written (No space left on device (os error 28))" in error
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == ["step-00000001", "step-00000002"]


def test_only_what_the_disk_did_is_called_so(finished, data, tmp_path, monkeypatch):
    from echomimic_core.training.run import checkpoint

    def mistaken(*arguments, **options):
        raise KeyError("conv_in.weight")

    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.setattr(checkpoint, "save_one_file", mistaken)
    with pytest.raises(KeyError, match="conv_in"):
        main([str(quick(tmp_path, data, steps=3)), "--resume"])
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == ["step-00000001", "step-00000002"]


def test_data_that_changed_are_noticed_on_resuming(finished, data, tmp_path, caplog):
    from echomimic_core.training.data.dataset import ClipDataset
    from echomimic_core.training.run.checkpoint import warn_of_other_clips

    now = ClipDataset(settings_of(tmp_path, data)).digest()
    warn_of_other_clips(finished / "step-00000002", now)
    assert not caplog.text
    clips.two_clips(tmp_path / "clips", frames=7)
    other = {"folders": [str(tmp_path / "clips")], "size": 64, "frames": 3}
    warn_of_other_clips(finished / "step-00000002", ClipDataset(settings_of(tmp_path, data, data=other)).digest())
    assert "are not those that" in caplog.text and "step-00000002 learned from" in caplog.text


def test_an_engine_that_does_not_know_the_gradients_norm_may_say_nothing(data, tmp_path, monkeypatch):
    from echomimic_core.training.run.loop import Trainer

    trainer = Trainer(settings_of(tmp_path, data, train=CALM | {"batch_size": 1}, loss=NO_TERMS))
    monkeypatch.setattr(trainer.accelerator, "clip_grad_norm_", lambda parameters, norm: None)
    values = trainer.gather(trainer.train_step(iter(trainer.loader())))
    assert "gradient_norm" not in values and values["loss"] > 0


def test_logs_of_a_run_without_a_checkpoint_are_put_aside_not_lost(tmp_path):
    from echomimic_core.training.run.records import Records

    for run in range(3):
        (tmp_path / "losses.jsonl").write_text(f'{{"step": 1, "run": {run}}}\n')
        Records(tmp_path, 0).close()
    assert (tmp_path / "losses.jsonl").read_text() == ""
    assert [json.loads((tmp_path / f"losses-{n}.jsonl").read_text())["run"] for n in (1, 2, 3)] == [0, 1, 2]


def test_losses_are_json_whatever_a_gradient_does(tmp_path):
    from echomimic_core.apdh.schedule import APDHSchedule
    from echomimic_core.training.run.records import Records

    records = Records(tmp_path, 0)
    records.write(1, {"loss": 0.5, "gradient_norm": float("inf")}, APDHSchedule().at(0))
    records.measure(1, float("nan"))
    records.close()

    def strictly(word):
        raise AssertionError(f"{word} is no JSON")

    line = json.loads((tmp_path / "losses.jsonl").read_text(), parse_constant=strictly)
    assert line["loss"] == 0.5 and line["gradient_norm"] is None
    assert json.loads((tmp_path / "validation.jsonl").read_text(), parse_constant=strictly)["loss"] is None


def test_a_bar_in_a_log_writes_a_line_every_half_minute(monkeypatch):
    from echomimic_core.training.run import records

    assert records.bar_options()["mininterval"] == 30.0  # Pytest's stderr is no terminal
    monkeypatch.setattr(records.sys.stderr, "isatty", lambda: True, raising=False)
    assert records.bar_options()["mininterval"] < 1.0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_shard_is_a_sentence_wherever_it_is_read(data, tmp_path, capfd, workers):
    shutil.copytree(data / "clips", tmp_path / "clips")
    (tmp_path / "clips" / "a.safetensors").write_bytes(b"broken")
    options = {"folders": [str(tmp_path / "clips")], "size": 64, "frames": 3, "workers": workers}
    assert main([str(quick(tmp_path, data, data=options))]) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if "a.safetensors" in line]
    assert len(lines) == 1 and "cannot be read: it is damaged" in lines[0]


def test_a_cosine_that_would_end_elsewhere_is_another_run_and_a_constant_rate_is_not(data, tmp_path):
    from echomimic_core.training.run.checkpoint import as_json, check_same_run

    def made(steps, **optimizer):
        options = {"warmup_steps": 0, "schedule": "constant", "decay_steps": 0, **optimizer}
        return settings_of(tmp_path, data, train=CALM | {"steps": steps}, optimizer=options)

    def resume(before, now):
        content = {"step": 1, "settings": as_json(before), "samples_per_step": None}
        (tmp_path / "run.json").write_text(json.dumps(content))
        check_same_run(tmp_path, now)

    resume(made(2), made(4))
    with pytest.raises(SettingsError, match="optimizer.decay_steps is not what it was"):
        resume(made(2, schedule="cosine"), made(4, schedule="cosine"))
    resume(made(2, schedule="cosine"), made(4, schedule="cosine", decay_steps=2))

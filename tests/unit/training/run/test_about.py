"""What a run says of itself: its versions, the disk it needs, the precision it has, and the card of an export."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from echomimic_core.training.run import about, engine
from echomimic_core.training.settings import Settings, TrainSettings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("kind", ["branch", "packed", "detached", "worktree"])
def test_a_checkout_says_its_commit(tmp_path, kind):
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text(f"{COMMIT}\n" if kind == "detached" else "ref: refs/heads/main\n")
    (git / "refs/heads").mkdir(parents=True)
    if kind == "packed":
        (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    else:
        (git / "refs/heads/main").write_text(f"{COMMIT}\n")
    root = tmp_path
    if kind == "worktree":
        root, own = tmp_path / "tree", git / "worktrees/tree"
        root.mkdir(), own.mkdir(parents=True)
        (root / ".git").write_text(f"gitdir: {own}\n")
        (own / "HEAD").write_text("ref: refs/heads/main\n")
        (own / "commondir").write_text("../..\n")
    assert about.read_commit(root) == COMMIT


def test_what_is_no_checkout_has_no_commit(tmp_path):
    assert about.read_commit(tmp_path) is None
    assert {"python", "torch", "echomimicv2"} <= about.versions().keys()


def test_the_space_of_checkpoints_is_told_before_the_start(tmp_path, monkeypatch):
    settings = Settings(train=TrainSettings(ema_decay=0.9))
    one = about.checkpoint_bytes(2**27, 2**28, settings)
    assert one == 2**27 * 16 + 2**28 * 2
    monkeypatch.setattr(about.shutil, "disk_usage", lambda place: SimpleNamespace(free=10 * 2**30))
    said, fits = about.tell_space(tmp_path / "not" / "there", one, 3)
    assert fits
    assert said == (
        "checkpoints take about 2.5 GiB each, 10.0 GiB with checkpoint.keep=3; 10.0 GiB are free at " + str(tmp_path)
    )
    assert not about.tell_space(tmp_path, one, 4)[1]


@pytest.mark.parametrize(("has_it", "kept"), [(True, "bf16"), (False, "no")])
def test_bfloat16_is_replaced_on_a_processor_without_it(monkeypatch, caplog, has_it, kept):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_it)
    train = dataclasses.replace(TrainSettings(), precision="bf16", frozen_bf16=True)
    found = engine.usable(Settings(train=train)).train
    assert (found.precision, found.frozen_bf16) == (kept, has_it)
    assert ("this processor has no bfloat16" in caplog.text) == (not has_it)

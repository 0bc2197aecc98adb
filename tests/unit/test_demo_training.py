"""The demo's model is trained, compared and documented by commands whose settings this pack's training takes."""

import json

import pytest

from demo.world.ablations import rows, table
from demo.world.curves import BLOCK, blocks, read_log
from demo.world.train import CONFIGS
from echomimic_core.training.__main__ import parse_changes
from echomimic_core.training.settings import load_settings

STEPS = 400


@pytest.mark.parametrize("stage", ["pictures", "clips"])
def test_the_stages_learn_what_they_are_for(stage):
    settings = load_settings(CONFIGS / f"{stage}.yaml", {"init.file": "model.safetensors"} if stage == "clips" else {})
    assert settings.train.stage == {"pictures": 1, "clips": 2}[stage]
    assert sum(phase.steps for phase in settings.apdh.phases) == settings.train.steps


def test_every_row_of_the_ablations_leaves_one_thing_out():
    made = {
        name: load_settings(CONFIGS / "clips.yaml", parse_changes([*changes, "init.file=model.safetensors"]))
        for name, changes in rows(STEPS).items()
    }
    full = made.pop("full")
    assert [phase.audio for phase in full.apdh.phases] == ["lips", "head", "body"]
    assert sum(phase.steps for phase in full.apdh.phases) == STEPS
    for name, settings in made.items():
        changed = [part for part in ("apdh", "loss", "data") if getattr(settings, part) != getattr(full, part)]
        assert len(changed) == 1, name
    assert made["without HPA"].data.headshot_share == 0
    assert [made[f"without L_{term}"].loss.of_phase(term) for term in ("pose", "detail", "low")] == [0, 0, 0]
    (phase,) = made["without APDH"].apdh.phases
    assert (phase.keypoints, phase.pose_dropout, phase.audio) == (("hands",), (0.0, 0.0), "body")


def test_the_table_has_a_column_for_what_was_measured():
    found = {"full": {"lip_correlation": 0.5, "ssim": 0.8}, "without HPA": {"lip_correlation": 0.25, "ssim": 0.75}}
    assert table(found).splitlines() == [
        "|  | lip correlation | SSIM |",
        "| --- | --- | --- |",
        "| full | 0.5 | 0.8 |",
        "| without HPA | 0.25 | 0.75 |",
    ]


def test_the_log_that_is_kept_holds_means_of_blocks(tmp_path):
    # a run that was resumed repeats a step: the later record counts
    records = [{"step": step, "phase": "lips", "loss": 9.0} for step in (1, 2)]
    records += [{"step": step, "phase": "lips", "loss": float(step)} for step in range(2, BLOCK + 2)]
    (tmp_path / "losses.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    first, second = blocks("clips", read_log(tmp_path))
    assert (first["step"], float(first["loss"])) == (BLOCK, pytest.approx((9 + sum(range(2, BLOCK + 1))) / BLOCK))
    assert (second["step"], float(second["loss"]), second["loss_pose"]) == (BLOCK + 1, BLOCK + 1, "")

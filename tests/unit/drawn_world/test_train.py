"""The demo's model is trained, compared and documented by commands whose settings this pack's training takes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import training_clips as clips

if not (Path(__file__).resolve().parents[3] / "drawn_world").is_dir():
    pytest.skip("the drawn world is left out of this copy", allow_module_level=True)

from drawn_world import train
from drawn_world.ablations import rows, table
from drawn_world.curves import BLOCK, blocks, read_log
from drawn_world.measure import FRAMES, Made, Maker, measure, spread
from drawn_world.train import CONFIGS
from echomimic_core.models.build import write_tiny_model
from echomimic_core.training.__main__ import parse_changes
from echomimic_core.training.data.shards import read_manifest
from echomimic_core.training.settings import load_settings

STEPS = 400


@pytest.mark.parametrize("stage", ["pictures", "clips"])
@pytest.mark.parametrize("recipe", list(train.RECIPES))
def test_the_stages_learn_what_they_are_for(recipe, stage):
    start = {"init.file": "model.safetensors"} if stage == "clips" else {}
    settings = load_settings(CONFIGS / f"{recipe}_{stage}.yaml", start)
    assert settings.data.size == train.RECIPES[recipe].size
    assert settings.train.stage == {"pictures": 1, "clips": 2}[stage]
    assert sum(phase.steps for phase in settings.apdh.phases) == settings.train.steps
    # Clips learn the lips, at the timesteps of the six steps that the model is used with
    few = stage == "clips" or recipe == "small"
    assert (settings.train.sampling_steps, settings.loss.lip_weight > 1) == ((6, True) if few else (0, False))
    assert (settings.loss.hand_weight > 1) == (recipe == "small")


def test_every_row_of_the_ablations_leaves_one_thing_out():
    made = {
        name: load_settings(CONFIGS / "nano_clips.yaml", parse_changes([*changes, "init.file=model.safetensors"]))
        for name, changes in rows(STEPS).items()
    }
    full, again = made.pop("full"), made.pop("full, other seed")
    assert dataclasses.replace(again, seed=full.seed) == full != again
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
    # A run that was resumed repeats a step: the later record counts
    records = [{"step": step, "phase": "lips", "loss": 9.0} for step in (1, 2)]
    records += [{"step": step, "phase": "lips", "loss": float(step)} for step in range(2, BLOCK + 2)]
    (tmp_path / "losses.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    first, second = blocks("clips", read_log(tmp_path))
    assert (first["step"], float(first["loss"])) == (BLOCK, pytest.approx((9 + sum(range(2, BLOCK + 1))) / BLOCK))
    assert (second["step"], float(second["loss"]), second["loss_pose"]) == (BLOCK + 1, BLOCK + 1, "")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return read_manifest(clips.two_clips(tmp_path_factory.mktemp("held_out"), frames=FRAMES))


def test_a_model_that_makes_the_true_frames_is_measured_as_perfect(held_out, tmp_path):
    def perfect(clip, voice=None):
        true = clip.frames(range(FRAMES))
        return Made(clip.pose().take(np.arange(FRAMES)), true, true)

    found = measure(perfect, held_out, tmp_path / "videos")
    assert found["lip_correlation"] == found["lip_correlation_of_the_reader"]
    assert (found["clips"], found["ssim"], found["flicker"]) == (2, 1, 0) and found["psnr_still"] > 90
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["0.mp4", "1.mp4"]


def test_a_voice_changes_what_is_made_and_the_size_is_the_models(held_out, tmp_path):
    model = write_tiny_model(tmp_path / "model.safetensors")
    clips.write_vae(tmp_path / "vae.safetensors")
    make = Maker(model, tmp_path / "vae.safetensors", None, steps=1, guidance=1.0)
    first, second = held_out
    own, other = make(first, frames=8).made, make(first, second, frames=8).made
    assert own.shape == (8, 128, 128, 3)
    assert not np.array_equal(own, other)


def test_clips_to_measure_are_taken_from_the_first_to_the_last():
    assert spread(list(range(32)), 4) == [0, 10, 21, 31]
    assert spread(list(range(3)), 16) == [0, 1, 2]


def test_a_stage_goes_on_where_it_was_stopped_and_is_not_made_twice(tmp_path, monkeypatch):
    commands = []

    def trained(*command):
        commands.append(command)
        file = tmp_path / "clips" / f"step-{len(commands):08d}" / "echomimicv2.safetensors"
        file.parent.mkdir(parents=True)
        file.touch()
        if len(commands) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", trained)
    with pytest.raises(KeyboardInterrupt):
        train.train_stage("clips", tmp_path, 2)
    again = [train.train_stage("clips", tmp_path, 2) for _ in range(2)]
    assert again == [tmp_path / "clips" / "step-00000002" / "echomimicv2.safetensors"] * 2
    assert ["--resume" in command for command in commands] == [False, True]

"""A run's configuration: what is right is read, what is wrong is a sentence that names it."""

import dataclasses
from pathlib import Path

import pytest
import torch

from echomimic_core.config import RELEASED, TINY
from echomimic_core.training.__main__ import BUILT_IN, main
from echomimic_core.training.limits import numbers
from echomimic_core.training.loss.phd import PhDLoss, PhDWeights
from echomimic_core.training.model.networks import PARTS
from echomimic_core.training.run.engine import deepspeed_options
from echomimic_core.training.run.phases import tell_phases
from echomimic_core.training.settings import PartRates, Settings, SettingsError, load_settings, parse

REPO = Path(__file__).resolve().parents[3]
CONFIGS = sorted(BUILT_IN.glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_configurations_are_valid(path):
    settings = load_settings(path)
    assert settings.model == (TINY if path.stem == "tiny" else RELEASED)
    assert settings.schedule().steps > 0


def test_the_shipped_recipe_opens_in_each_spatial_phase_what_the_proven_one_does():
    proven = load_settings(REPO / "drawn_world" / "configs" / "small_clips.yaml")
    for name in ("80gb_stage2", "8x80gb_stage2"):
        shipped = load_settings(BUILT_IN / f"{name}.yaml")
        assert set(shipped.open_parts) == set(proven.open_parts) == set(PARTS)
        first = shipped.apdh.start_step
        states = [shipped.schedule().at(first + step) for step in range(0, shipped.train.steps, 1000)]
        of_proven = [(phase.keypoints, phase.audio) for phase in proven.apdh.phases]
        assert list(dict.fromkeys((state.keypoints, state.audio) for state in states)) == of_proven


@pytest.mark.parametrize("name", ["80gb", "8x80gb"])
def test_the_last_stage_opens_everything_at_a_lower_rate_where_the_schedule_has_ended(name):
    second, third = (load_settings(BUILT_IN / f"{name}_stage{stage}.yaml") for stage in (2, 3))
    assert set(third.open_parts) == set(PARTS) and third.clip_frames == second.clip_frames > 1
    assert third.optimizer.learning_rate <= second.optimizer.learning_rate / 5
    state = third.schedule().at(third.apdh.start_step)
    assert state.keypoints == ("hands",) and state.audio == "body"


def test_rates_are_named_for_every_part():
    assert tuple(field.name for field in dataclasses.fields(PartRates)) == PARTS


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trian: {steps: 5}", "there is no setting 'trian': did you mean 'train'?"),
        ("train: {stpes: 5}", "there is no setting 'train.stpes': did you mean 'steps'?"),
        ("loss: {lambda_pose: 1}", "there is no setting 'loss.lambda_pose'"),
        ("apdh: {phases: [{name: a, steps: 5, audoi: lips}]}", r"'apdh.phases\[0\].audoi': did you mean 'audio'?"),
        ("train: {steps: many}", "train.steps is 'many', but it must be a whole number"),
        ("train: {steps: 2.5}", "train.steps is 2.5, but it must be a whole number"),
        ("train: {steps: 0}", "train.steps is 0, but it must be at least 1"),
        ("train: {stage: 4}", "train.stage is 4, but it must be one of 1, 2, 3"),
        ("optimizer: {schedule: linear}", "optimizer.schedule is 'linear', but it must be one of constant, cosine"),
        (
            "{optimizer: {schedule: cosine, warmup_steps: 100, decay_steps: 100}}",
            "optimizer.warmup_steps is 100, but the cosine ends at step 100: the warm-up must be shorter",
        ),
        ("optimizer: {part_rates: {motion: 2}}", "'optimizer.part_rates.motion': did you mean 'motion_modules'?"),
        (
            "{train: {stage: 1}, optimizer: {part_rates: {audio_attention: 5}}}",
            "part_rates.audio_attention is 5, but this run does not train audio_attention: remove it, or add",
        ),
        (
            "{lora: {rank: 4, targets: [attn2]}, optimizer: {part_rates: {motion_modules: 5}}}",
            "part_rates.motion_modules is 5, but this run does not train motion_modules",
        ),
        ("data: {folders: [a, b], folder_weights: [1]}", "data.folder_weights has 1 numbers for 2 data.folders: give"),
        ("data: {buckets: [[768, 500]]}", r"data.buckets\[0\] is \[768, 500\], but it must be a multiple of 64"),
        ("data: {buckets: [[768]]}", r"data.buckets\[0\] has 1 values, but it must have 2"),
        (
            "{data: {buckets: [[768, 512]]}, loss: {decoded_size: 640}}",
            "loss.decoded_size is 640, but it must be a multiple of 8 pixels up to the shortest side",
        ),
        ("data: {keep_latents: true, crops: 0.1}", "data.keep_latents caches whole square frames, which data.crops"),
        (
            "data: {keep_latents: true, buckets: [[768, 512]]}",
            "caches whole square frames, which data.buckets",
        ),
        ("train: [1]", r"train is \[1\], but it must be a section"),
        ("train: {gradient_checkpointing: 1}", "must be true or false"),
        ("data: {size: 100}", "data.size is 100, but it must be a multiple of 64"),
        ("data: {frames: 33}", "the motion modules support 1 to 32 frames"),
        ("model: huge", "model is 'huge', but it must be one of released, tiny"),
        ("model: {block_out_chanels: [1, 2, 3, 4]}", "did you mean 'block_out_channels'?"),
        ("optimizer: {betas: [0.9]}", "optimizer.betas has 1 values, but it must have 2"),
        ("train: {parts: [motion]}", "train.parts is 'motion', but it must be one of"),
        ("lora: {targets: [attn3]}", "lora.targets is 'attn3'"),
        ("train: {frozen_bf16: true}", "train.frozen_bf16 needs train.precision bf16 or fp16"),
        ("optimizer: {learning_rate: .nan}", "optimizer.learning_rate is nan, but it must be a finite number"),
        ("loss: 3", "loss is 3, but it must be a section of settings, such as loss.latent"),
        ("- 1\n- 2", "contains a list"),
        ("train: {", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, sentence):
    path = write(tmp_path, text)
    with pytest.raises(SettingsError, match=sentence) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "bounds"),
    [
        ("seed", -1, "at least 0"),
        ("apdh.start_step", -5, "at least 0"),
        ("validation.steps", 0, "at least 1"),
        ("validation.frames", 0, "at least 1"),
        ("validation.clips", 0, "at least 1"),
        ("optimizer.learning_rate", -1.0, "at least 0"),
        ("optimizer.warmup_steps", -4, "at least 0"),
        ("optimizer.max_grad_norm", 0.0, "above 0"),
        ("optimizer.betas", (0.9, 1.5), "at least 0 and below 1"),
        ("loss.latent", -1.0, "at least 0"),
        ("loss.pose", -1.0, "at least 0"),
        ("train.noise_offset", -3.0, "at least 0"),
        ("train.ema_decay", 1.5, "at least 0 and at most 1"),
        ("lora.rank", -2, "at least 0"),
        ("lora.dropout", 2.0, "at least 0 and below 1"),
        ("data.workers", -1, "at least 0"),
        ("data.reference_distance", -1, "at least 0"),
        ("data.flips", 1.5, "at least 0 and at most 1"),
        ("data.crops", 0.8, "at least 0 and at most 0.5"),
        ("data.folder_weights", (0.0,), "above 0"),
        ("train.picture_dropout", 2.0, "at least 0 and at most 1"),
        ("train.audio_dropout", -0.5, "at least 0 and at most 1"),
        ("optimizer.final_share", 1.5, "at least 0 and at most 1"),
        ("optimizer.decay_steps", -1, "at least 0"),
    ],
)
def test_a_number_that_cannot_be_is_named_with_its_bounds(key, value, bounds):
    section, _, name = key.rpartition(".")
    content = {section: {name: value}} if section else {name: value}
    with pytest.raises(SettingsError) as caught:
        parse(Settings, content)
    assert str(caught.value).startswith(f"{key} is {value}, but it must be {bounds}")


# Numbers whose limits depend on the model, which `Settings` checks itself.
CHECKED_BY_SETTINGS = {"data.size", "data.frames", "data.held_out"}


def test_every_number_of_a_run_carries_its_limits():
    for key, value, field in numbers(Settings()):
        parts = value if isinstance(value, tuple) else (value,)
        if key.startswith("model.") or key in CHECKED_BY_SETTINGS or field.type in (bool, "bool"):
            continue
        if any(isinstance(part, (int, float)) and not isinstance(part, bool) for part in parts):
            limited = "bounds" in field.metadata or "choices" in field.metadata
            assert limited, f"{key} has no limits: declare it by bounded(default, low, high)"


def test_an_unknown_loss_term_is_refused():
    with pytest.raises(ValueError, match="no loss term 'colour'"):
        PhDLoss(PhDWeights()).term("colour", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), None)


def test_a_run_that_would_export_nothing_is_refused():
    with pytest.raises(SettingsError, match="checkpoint.formats is empty"):
        parse(Settings, {"checkpoint": {"formats": []}})
    assert parse(Settings, {"checkpoint": {"formats": []}, "lora": {"rank": 4}}).lora.rank == 4
    with pytest.raises(SettingsError, match="lora.targets is empty"):
        parse(Settings, {"lora": {"rank": 4, "targets": []}})


def test_exports_are_of_the_variant_that_training_starts_from():
    start = {"source": "released", "variant": "accelerated"}
    assert parse(Settings, {"init": start}).variant == "accelerated"
    assert parse(Settings, {"init": start, "checkpoint": {"variant": "standard"}}).variant == "standard"
    assert parse(Settings, {}).variant == "standard"


def test_a_one_file_start_knows_its_own_variant(tmp_path):
    from echomimic_core.models.build import write_tiny_model
    from echomimic_core.training.model.initialise import with_start

    file = write_tiny_model(tmp_path / "start.safetensors", variant="accelerated")
    start = {"source": "one_file", "file": str(file)}
    assert with_start(parse(Settings, {"init": start})).variant == "accelerated"
    chosen = parse(Settings, {"init": start, "checkpoint": {"variant": "standard"}})
    assert with_start(chosen).variant == "standard"


def told(caplog, content, step=0):
    caplog.clear()
    with caplog.at_level("INFO"):
        tell_phases(parse(Settings, content), step)
    return caplog.text


def test_a_run_tells_its_phases_and_warns_where_audio_is_trained_but_never_on(caplog):
    text = told(caplog, {"train": {"stage": 2}})
    assert "from step 0 on: initial" in text and "from step 10000 on: iterative" in text
    assert "spatial" not in text
    assert "audio is off in every step of this run" in text
    for content in (
        {"train": {"stage": 2}, "apdh": {"start_step": 20000}},
        {"train": {"stage": 2, "steps": 30000}},
        {"train": {"stage": 1}},
        {"train": {"stage": 2}, "lora": {"rank": 4, "targets": ["attn1"]}},
    ):
        assert "audio is off in every step" not in told(caplog, content), content
    assert "audio is off in every step" in told(caplog, {"train": {"stage": 2}, "lora": {"rank": 4}})
    assert "initial" not in told(caplog, {"train": {"stage": 1}}, step=15000)


def test_deepspeed_is_told_what_it_does_by_itself():
    options = {"train": {"batch_size": 3, "accumulation": 5}, "optimizer": {"max_grad_norm": 0.7}}
    assert deepspeed_options(parse(Settings, options)) == {
        "train_micro_batch_size_per_gpu": 3,
        "gradient_accumulation_steps": 5,
        "gradient_clipping": 0.7,
    }


def test_numbers_are_read_as_people_write_them(tmp_path):
    settings = load_settings(write(tmp_path, "optimizer: {learning_rate: 1e-5}\ntrain: {precision: no, steps: 1e3}"))
    assert settings.optimizer.learning_rate == 1e-5
    assert settings.train.precision == "no" and settings.train.steps == 1000


def test_nothing_given_is_the_default():
    assert parse(Settings, {}) == Settings()


def test_the_command_line_changes_settings(tmp_path):
    settings = load_settings(write(tmp_path, "train: {steps: 5}"), {"train.steps": 7, "loss.pose": 0})
    assert settings.train.steps == 7 and settings.loss.pose == 0.0


def test_the_command_says_what_is_wrong_and_makes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(write(tmp_path, "train: {stpes: 5}"))]) == 1
    assert "did you mean 'steps'?" in capsys.readouterr().err
    assert main(["absent.yaml"]) == 1
    assert "there is no configuration absent.yaml" in capsys.readouterr().err
    assert main([str(write(tmp_path, "{}")), "--set", "train.steps"]) == 1
    assert "should be KEY=VALUE" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [Path(tmp_path / "run.yaml")]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["data=5"], "data is 5, but it must be a section of settings, such as data.folders"),
        (["train=5", "train.steps=3"], "train.steps cannot be set: train is 5, which has no settings in it"),
        (["seed.more=3"], "seed.more cannot be set: seed is 1"),
        (["trian.steps=3"], "there is no setting 'trian': did you mean 'train'"),
        (["train.steps={"], "--set 'train.steps={': '{' is not a value"),
        (["data.folders=[a"], "is not a value"),
        (["data.folders.0=a"], "data.folders is"),
        (["=5"], "should be KEY=VALUE"),
        (["train..steps=5"], "should be KEY=VALUE"),
        (["train.steps"], "should be KEY=VALUE"),
    ],
)
def test_a_wrong_change_is_a_sentence(tmp_path, capsys, changes, sentence):
    path = write(tmp_path, "seed: 1\ndata: {folders: [x]}")
    assert main([str(path), *(part for change in changes for part in ("--set", change))]) == 1
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_a_section_left_empty_takes_changes(tmp_path):
    assert load_settings(write(tmp_path, "train:\n"), {"train.steps": 3}).train.steps == 3


def test_a_configuration_that_is_no_text_is_a_sentence(tmp_path, capsys):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    assert main([str(tmp_path / "run.yaml")]) == 1
    assert "is not YAML" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 1
    assert "there is no configuration" in capsys.readouterr().err

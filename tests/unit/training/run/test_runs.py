"""Whole runs as users start them: resumed after a kill, on two processes, and with things that are wrong."""

import dataclasses
import json
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
import torch
import torch.distributed.fsdp

from echomimic_core.models.build import build, config_of

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")

import training_clips as clips  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from training_runs import (  # noqa: E402, F401  (fresh_accelerate is for every test here)
    PATIENCE,
    REPO,
    averages,
    command,
    environment,
    fresh_accelerate,
    run,
    settings_of,
    weights,
    write_config,
)

# Parts that learn at rates of their own, in every run that must equal another.
RATES = {"part_rates": {"pose_encoder": 2.0, "audio_attention": 3.0}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Clips and a VAE that all runs share."""
    folder = tmp_path_factory.mktemp("runs")
    clips.two_clips(folder / "clips", frames=12, headshot=True)
    clips.write_vae(folder / "vae.safetensors")
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The run from start to end in one process."""
    folder = tmp_path_factory.mktemp("whole")
    code, output = run(write_config(folder, data, optimizer=RATES))
    assert code == 0, output
    return folder


def test_a_run_leaves_checkpoints_losses_and_what_comfyui_loads(whole):
    from echomimic_core.files.checkpoints import open_one_file

    assert sorted(path.name for path in (whole / "run").glob("step-*")) == ["step-00000002", "step-00000004"]
    lines = [json.loads(line) for line in (whole / "run" / "losses.jsonl").read_text().splitlines()]
    (start,) = [json.loads(line) for line in (whole / "run" / "starts.jsonl").read_text().splitlines()]
    assert start["step"] == 0 and start["torch"] == torch.__version__
    card = (whole / "run" / "step-00000004" / "README.md").read_text("utf-8")
    assert "# EchoMimicV2, trained for 4 steps" in card and "\n- clips\n" in card
    assert f"| loss | {lines[-1]['loss']} |" in card and '"batch_size": 4' in card
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["phase"] for line in lines] == ["initial", "lips", "lips", "body"]
    assert all(line["loss"] > 0 for line in lines)
    files = open_one_file(whole / "run" / "step-00000004" / "echomimicv2.safetensors")
    assert config_of(files) == clips.MICRO
    exported = build(files, "denoising_unet", clips.MICRO, torch.float32).state_dict()
    for name, value in averages(whole).items():
        if name.startswith("denoising_unet."):
            assert torch.allclose(exported[name.partition(".")[2]], value, atol=2e-3, rtol=2e-3)


def test_killed_and_resumed_is_the_uninterrupted_run_bit_for_bit(whole, data, tmp_path):
    config = write_config(tmp_path, data, optimizer=RATES)
    process = subprocess.Popen(
        command(config), cwd=REPO, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    first = tmp_path / "run" / "step-00000002" / "run.json"
    waited = time.monotonic()
    while not first.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() - waited < PATIENCE
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "step-00000004").exists()
    code, output = run(config, "--resume")
    assert code == 0, output
    for kind in (weights, averages):
        expected, found = kind(whole), kind(tmp_path)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "losses.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_two_processes_with_half_the_batch_each_give_the_same_weights(whole, data, tmp_path):
    config = write_config(tmp_path, data, train={"batch_size": 2}, optimizer=RATES)
    code, output = run(config, processes=2)
    assert code == 0, output
    expected, found = weights(whole), weights(tmp_path)
    assert expected.keys() == found.keys()
    worst = max((expected[name] - found[name]).abs().max().item() for name in expected)
    assert worst < 1e-5


def test_accumulated_batches_give_the_same_weights(whole, data, tmp_path):
    from echomimic_core.training.run.loop import Trainer
    from echomimic_core.training.settings import load_settings

    shared_out = {"batch_size": 1, "accumulation": 4}
    trainer = Trainer(load_settings(write_config(tmp_path, data, train=shared_out, optimizer=RATES)))
    trainer.run()
    expected, found = weights(whole), weights(tmp_path)
    assert max((expected[name] - found[name]).abs().max().item() for name in expected) < 1e-5


def test_a_finished_run_is_not_overwritten(whole):
    before = {path: path.stat().st_mtime_ns for path in (whole / "run").rglob("*")}
    code, output = run(whole / "run.yaml")
    assert code == 1
    assert "already contains a run, up to step-00000004: continue it with --resume" in output
    assert {path: path.stat().st_mtime_ns for path in (whole / "run").rglob("*")} == before


def test_resuming_with_other_settings_names_the_one_that_changed(whole, data, tmp_path):
    from echomimic_core.training.run.loop import Trainer
    from echomimic_core.training.settings import SettingsError

    changed = settings_of(tmp_path, data, optimizer={"learning_rate": 5e-4})
    with pytest.raises(SettingsError, match="optimizer.learning_rate is not what it was"):
        Trainer(changed, str(whole / "run" / "step-00000004"))
    with pytest.raises(SettingsError, match="there is nothing to resume"):
        Trainer(changed, "latest")
    with pytest.raises(SettingsError, match="is not a checkpoint"):
        Trainer(changed, str(tmp_path))


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"vae": None}, "no VAE is given"),
        ({"vae": "absent.safetensors"}, "absent.safetensors does not exist"),
        ({"data": {"folders": ["absent"]}}, "absent has no manifest.json"),
        ({"data": {"frames": 20}}, "none of the 3 clips has the 20 frames"),
        ({"init": {"source": "one_file", "file": "absent.safetensors"}}, "absent.safetensors does not exist"),
        ({"loss": {"lpips": "absent.pth"}}, "absent.pth does not exist"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_made(data, tmp_path, sections, sentence):
    from echomimic_core.training.run.loop import Trainer

    with pytest.raises(ValueError, match=sentence):
        Trainer(settings_of(tmp_path, data, **sections))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_train_their_parts_and_no_other(data, tmp_path, stage):
    from echomimic_core.training.model.networks import part_of
    from echomimic_core.training.run.loop import Trainer
    from echomimic_core.training.settings import STAGE_PARTS

    settings = settings_of(
        tmp_path, data, train={"stage": stage, "parts": [], "steps": 1, "batch_size": 1}, loss={"low": 0.0}
    )
    trainer = Trainer(settings)
    before = {name: value.clone() for name, value in trainer.plain.state_dict().items()}
    checkpoint = trainer.run()
    changed = {name for name, value in trainer.plain.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and {part_of(name) for name in changed} <= set(STAGE_PARTS[stage])
    assert {part_of(name) for name in load_file(checkpoint / "state" / "trained.safetensors")} == set(
        STAGE_PARTS[stage]
    )
    frozen = [trainer.vae, trainer.loss]
    assert all(parameter.grad is None for module in frozen for parameter in module.parameters())


@pytest.mark.parametrize(("timestep", "term"), [(950, "pose"), (500, "detail"), (100, "low")])
def test_every_term_reaches_the_networks_through_the_vae_and_trains_nothing_frozen(
    data, tmp_path, timestep, term, monkeypatch
):
    from echomimic_core.training.loss import keypoints
    from echomimic_core.training.run.loop import Trainer

    # No network finds hands in these clips: look at what it sees where they should be
    monkeypatch.setattr(keypoints, "SURE", -1.0)
    only = {name: float(name == term) for name in ("latent", "pose", "detail", "low")}
    trainer = Trainer(
        settings_of(tmp_path, data, train=dict.fromkeys(("condition_dropout", "picture_dropout"), 0.0), loss=only)
    )
    batch = {name: value[None] for name, value in trainer.dataset[(3, 0)].items()}
    batch["timestep"] = torch.tensor([timestep])
    batch["squares"] = torch.tensor([0.5, 0.5, 0.4, 0.0]).expand_as(batch["squares"])
    batch["loss_mask"], batch["pixel_mask"] = (torch.ones_like(batch[name]) for name in ("loss_mask", "pixel_mask"))
    loss, parts = trainer.losses(batch, audio=True)
    assert set(parts) == {"latent", term} and loss > 0
    trainer.accelerator.backward(loss)
    assert trainer.plain.denoising_unet.conv_out.weight.grad.any()
    assert trainer.plain.denoising_unet.conv_in.weight.grad.any()
    assert trainer.plain.reference_unet.conv_in.weight.grad.any()
    frozen = [*trainer.vae.parameters(), *trainer.loss.parameters()]
    assert frozen and all(parameter.grad is None and not parameter.requires_grad for parameter in frozen)


def test_a_run_that_explodes_says_so(data, tmp_path, capsys):
    from echomimic_core.training.__main__ import main

    config = write_config(
        tmp_path,
        data,
        optimizer={"learning_rate": 1e30, "warmup_steps": 0},
        train={"batch_size": 1, "steps": 20},
        checkpoint={"every": 20},
    )
    assert main([str(config)]) == 1
    assert "with a lower optimizer.learning_rate" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("step-*"))


@pytest.mark.parametrize("broken", [float("nan"), 1e6])
def test_weights_the_export_cannot_hold_never_replace_the_last_good_checkpoint(data, tmp_path, broken):
    from echomimic_core.training.run.loop import Trainer

    trainer = Trainer(
        settings_of(tmp_path, data, train={"steps": 2, "batch_size": 1}, checkpoint={"every": 1, "keep": 1})
    )
    learn = trainer.train_step

    def break_a_weight(samples):
        values = learn(samples)
        if trainer.step == 1:
            trainer.plain.denoising_unet.conv_out.bias.data.fill_(broken)
        return values

    trainer.train_step = break_a_weight
    with pytest.raises(FloatingPointError, match="not finite in float16.*step-00000001 is the last good one"):
        trainer.run()
    (kept,) = (tmp_path / "run").glob("step-*")
    assert all(value.isfinite().all() for value in load_file(kept / "echomimicv2.safetensors").values())


def test_half_precision_workers_and_stage_1_run_through(data, tmp_path):
    from echomimic_core.training.run.loop import Trainer

    settings = settings_of(
        tmp_path,
        data,
        data={"folders": [str(data / "clips")], "size": 64, "workers": 1},
        train={"stage": 1, "parts": [], "steps": 2, "batch_size": 1, "precision": "bf16", "frozen_bf16": True},
        optimizer={"name": "adamw8bit"},
        validation={"every": 2, "frames": 2, "steps": 1},
    )
    checkpoint = Trainer(settings).run()
    assert all(value.isfinite().all() for value in load_file(checkpoint / "echomimicv2.safetensors").values())
    assert all(
        value.dtype == torch.float32 for value in load_file(checkpoint / "state" / "trained.safetensors").values()
    )


def test_lora_runs_resumes_and_exports(data, tmp_path):
    pytest.importorskip("peft")
    from echomimic_core.training.run.loop import Trainer

    changes = {"lora": {"rank": 2}, "optimizer": {"part_rates": {"audio_attention": 2.0}}}
    settings = settings_of(tmp_path, data, **changes, train={"steps": 2, "batch_size": 1}, checkpoint={"every": 1})
    checkpoint = Trainer(settings).run()
    tensors = load_file(checkpoint / "lora.safetensors")
    assert any(value.any() for name, value in tensors.items() if "lora_B" in name)
    again = Trainer(dataclasses.replace(settings, train=dataclasses.replace(settings.train, steps=3)), "latest")
    assert again.step == 2 and again.run().name == "step-00000003"


def test_clips_of_two_shapes_are_learned_and_filmed_each_in_its_own(data, tmp_path):
    from echomimic_core.media.video import read_frames
    from echomimic_core.training.run.loop import Trainer

    made = []
    for number, (width, height) in enumerate(((192, 96), (96, 128))):
        clip = clips.make_clip(*clips.talking(12, number), name=f"{number:03d}")
        pictures = [clips.draw(0.5, 0.5, (40, 90, 140), 192)[:height, :width] for _ in range(12)]
        clip.jpegs = [clips.encode_jpeg(picture) for picture in pictures]
        clip.info = dataclasses.replace(clip.info, width=width, height=height)
        made.append(clip)
    folder = clips.write_clips(tmp_path / "clips", made)
    settings = settings_of(
        tmp_path,
        data,
        data={"folders": [str(folder)], "buckets": [[128, 64], [64, 128]]},
        train={"steps": 4, "batch_size": 2},
        validation={"every": 4, "frames": 2, "steps": 1, "clips": 2},
    )
    trainer = Trainer(settings)
    shapes = {tuple(trainer.dataset[(step, 0)]["frames"].shape[-2:]) for step in range(4)}
    assert shapes == {(64, 128), (128, 64)}
    assert trainer.run().name == "step-00000004"
    films = sorted((tmp_path / "run" / "validation").iterdir())
    assert [next(read_frames(film))[1].shape[:2] for film in films] == [(64, 256), (128, 128)]


def test_validation_films_the_clip_beside_the_model(data, tmp_path):
    from echomimic_core.media.video import read_audio, read_frames
    from echomimic_core.training.run.loop import Trainer

    settings = settings_of(
        tmp_path, data, train={"steps": 1, "batch_size": 1}, validation={"every": 1, "frames": 4, "steps": 2}
    )
    Trainer(settings).run()
    (film,) = (tmp_path / "run" / "validation").iterdir()
    frames = [frame for _, frame in read_frames(film)]
    assert len(frames) == 4 and frames[0].shape == (64, 128, 3)
    assert read_audio(film)[0].shape[1] > 0


def test_tensorboard_gets_losses_and_clips(data, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from echomimic_core.training.run.loop import Trainer

    settings = settings_of(
        tmp_path, data, train={"steps": 2, "batch_size": 1}, validation={"every": 2, "frames": 2, "steps": 1}
    )
    Trainer(settings).run()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    assert "validation/0" in events.Tags()["images"]


@pytest.mark.release
@pytest.mark.skipif(not hasattr(torch.distributed.fsdp, "fully_shard"), reason="FSDP 2 needs torch 2.6")
def test_fsdp_gives_the_same_weights_whole_and_resumes(whole, data, tmp_path):
    """Weights cut up between two processes: averages and exports are gathered, and are those of one process."""
    config = write_config(
        tmp_path,
        data,
        train={"batch_size": 2},
        optimizer=RATES,
        validation={"every": 4, "frames": 2, "steps": 1, "clips": 1},
    )
    for arguments in (("--set", "train.steps=2"), ("--resume",)):
        code, output = run(config, *arguments, processes=2, script="fsdp_on_processors.py")
        assert code == 0, output
    expected, found = averages(whole), averages(tmp_path)
    assert expected.keys() == found.keys()
    assert max((expected[name] - found[name]).abs().max().item() for name in expected) < 1e-5
    exports = (load_file(f / "run" / "step-00000004" / "echomimicv2.safetensors") for f in (whole, tmp_path))
    expected, found = exports
    assert {name: value.shape for name, value in expected.items()} == {n: value.shape for n, value in found.items()}
    assert all(torch.allclose(expected[name].float(), found[name].float(), atol=1e-3) for name in expected)
    assert list((tmp_path / "run" / "validation").iterdir())


@pytest.mark.parametrize(
    ("engine", "state", "sentence"),
    [
        ("DEEPSPEED", {"deepspeed_plugin": SimpleNamespace(zero_stage=3)}, "ZeRO-3 .* choose zero_stage 2"),
        ("FSDP", {"fsdp_plugin": SimpleNamespace(fsdp_version=1)}, "set fsdp_version to 2"),
    ],
)
def test_engines_whose_weights_could_not_be_saved_whole_are_refused(engine, state, sentence):
    from echomimic_core.training.run.sharding import check_engine
    from echomimic_core.training.settings import SettingsError

    with pytest.raises(SettingsError, match=sentence):
        check_engine(SimpleNamespace(distributed_type=SimpleNamespace(value=engine), state=SimpleNamespace(**state)))


def test_held_out_clips_are_measured_the_same_way_every_time(data, tmp_path):
    from echomimic_core.training.run.loop import Trainer

    settings = settings_of(
        tmp_path,
        data,
        data={"folders": [str(data / "clips")], "size": 64, "frames": 3, "workers": 0, "held_out": 1},
        train={"steps": 2, "batch_size": 1, "ema_decay": 0.0},
        validation={"every": 1, "frames": 2, "steps": 1},
    )
    trainer = Trainer(settings)
    (held,) = trainer.dataset.held_out
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "run" / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2] and all(line["loss"] > 0 for line in lines)
    assert trainer.plain.training
    state = trainer.dataset.state(1)
    trainer.plain.eval()
    assert trainer.validation_loss(state) == pytest.approx(lines[1]["loss"], abs=1e-6)
    assert held not in trainer.dataset.clips

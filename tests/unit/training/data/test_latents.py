"""Latents that are kept: made once, read back, and worth the same as encoding anew."""

import shutil

import pytest
import torch

pytest.importorskip("diffusers")

import training_clips as clips  # noqa: E402

from echomimic_core.networks.frozen_vae import load_vae  # noqa: E402
from echomimic_core.training.data.dataset import ClipDataset  # noqa: E402
from echomimic_core.training.data.latents import fingerprint, keep_latents  # noqa: E402
from echomimic_core.training.data.shards import ShardError, latents_path, read_latents, write_latents  # noqa: E402
from echomimic_core.training.settings import DataSettings, LossSettings, Settings, TrainSettings  # noqa: E402


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return load_vae(clips.write_vae(tmp_path_factory.mktemp("vae") / "vae.safetensors"))


@pytest.fixture
def dataset(tmp_path):
    folder = clips.two_clips(tmp_path / "clips", frames=12, headshot=True)
    data = DataSettings(folders=(str(folder),), size=64, frames=4, headshot_share=0.5)
    return ClipDataset(Settings(model=clips.MICRO, data=data, train=TrainSettings(stage=2)))


def test_kept_latents_are_those_of_the_frames_and_of_the_reference(dataset, vae):
    dataset.latents_mark = keep_latents(dataset.clips, vae, 64)
    samples = [dataset[step, 0] for step in range(12)]
    kept = [sample for sample in samples if sample["has_latents"]]
    assert kept and len(kept) < len(samples), "both kinds of clips must have been drawn"
    for sample in kept:
        pictures = torch.cat([sample["frames"], sample["reference"][None]])
        assert torch.allclose(sample["latents"], vae.encode(pictures.float() / 255), atol=5e-3)


def test_headshots_are_placed_anew_and_have_none(dataset, vae):
    dataset.latents_mark = keep_latents(dataset.clips, vae, 64)
    headshots = [sample for sample in (dataset[step, 0] for step in range(12)) if not sample["has_latents"]]
    assert all((sample["audio_mask"] == 0).any() and not sample["latents"].any() for sample in headshots)


def test_mirrored_samples_are_encoded_since_what_is_kept_is_not_mirrored(tmp_path, vae):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12, 1))])
    data = DataSettings(folders=(str(folder),), size=64, frames=4, flips=0.5)
    dataset = ClipDataset(Settings(model=clips.MICRO, data=data, train=TrainSettings(stage=2)))
    dataset.latents_mark = keep_latents(dataset.found, vae, 64)
    kept = set()
    for index in range(8):
        sample = dataset[0, index]
        kept.add(sample["has_latents"].item())
        if sample["has_latents"]:
            assert torch.allclose(sample["latents"][:-1], vae.encode(sample["frames"].float() / 255), atol=5e-3)
    assert kept == {True, False}


def test_a_second_run_makes_nothing_and_another_size_its_own(dataset, vae, monkeypatch):
    mark = keep_latents(dataset.clips, vae, 64)
    calls = []
    original = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pictures: calls.append(1) or original(pictures))
    assert keep_latents(dataset.clips, vae, 64) == mark and not calls
    assert keep_latents(dataset.clips, vae, 128) != mark and calls


def learn_from(folder, frames):
    data = DataSettings(folders=(str(folder),), size=64, frames=frames)
    return ClipDataset(Settings(model=clips.MICRO, data=data, train=TrainSettings(stage=2)))


def test_clips_that_were_prepared_again_are_encoded_again(tmp_path, vae):
    for colour in ((0, 0, 0), (250, 250, 250)):
        folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12, 1), colour=colour)])
        dataset = learn_from(folder, 4)
        dataset.latents_mark = keep_latents(dataset.found, vae, 64)
        sample = dataset[0, 0]
        assert (sample["frames"][..., 0, 0].float() - colour[0]).abs().max() < 10
        pictures = torch.cat([sample["frames"], sample["reference"][None]])
        assert torch.allclose(sample["latents"], vae.encode(pictures.float() / 255), atol=5e-3)


def test_latents_are_kept_for_runs_of_every_length(tmp_path, vae, monkeypatch):
    short = clips.make_clip(*clips.talking(6, 2), name="001")
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12, 1)), short])
    dataset = learn_from(folder, 8)
    assert len(dataset.clips) == 1 and len(dataset.found) == 2
    mark = keep_latents(dataset.found, vae, 64)
    monkeypatch.setattr(vae, "encode", None)  # Nothing is left to encode
    dataset = learn_from(folder, 4)
    dataset.latents_mark = keep_latents(dataset.found, vae, 64)
    assert dataset.latents_mark == mark
    for clip in dataset.clips:
        assert dataset.kept_latents(clip, [0, 5])["latents"].shape == (2, 4, 8, 8)


def test_a_copied_folder_keeps_its_latents(tmp_path, vae, monkeypatch):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12, 1))])
    keep_latents(learn_from(folder, 4).found, vae, 64)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    monkeypatch.setattr(vae, "encode", None)
    keep_latents(learn_from(tmp_path / "copy", 4).found, vae, 64)


def test_latents_that_are_damaged_are_made_again_and_what_lacks_is_a_sentence(dataset, vae):
    mark = keep_latents(dataset.found, vae, 64)
    clip = next(clip for clip in dataset.clips if clip.info.kind != "headshot")
    path = latents_path(clip, mark)
    path.write_bytes(b"broken")
    assert keep_latents(dataset.found, vae, 64) == mark
    assert read_latents(clip, mark, [0]).shape == (1, 4, 8, 8)
    write_latents(path, {"other": torch.zeros(1)}, "")
    with pytest.raises(ShardError, match=f"{clip.info.shard} lacks {clip.info.clip}: .* Remove it and prepare"):
        read_latents(clip, mark, [0])


def test_another_vae_has_another_mark(vae):
    mark = fingerprint(vae, 64)
    with torch.no_grad():
        next(vae.parameters()).add_(1e-3)
    assert fingerprint(vae, 64) != mark
    with torch.no_grad():
        next(vae.parameters()).sub_(1e-3)


def test_the_loss_is_the_same_with_kept_latents(tmp_path, vae):
    from echomimic_core.training.run.loop import Trainer

    clips.two_clips(tmp_path / "clips", frames=12, headshot=True)
    losses = []
    for keep in (False, True):
        settings = Settings(
            output=str(tmp_path / f"run-{keep}"),
            model=clips.MICRO,
            vae=str(clips.write_vae(tmp_path / "vae.safetensors")),
            data=DataSettings(
                folders=(str(tmp_path / "clips"),), size=64, frames=4, headshot_share=0.5, workers=0, keep_latents=keep
            ),
            train=TrainSettings(stage=2, steps=1, batch_size=4, gradient_checkpointing=False),
            loss=LossSettings(lpips="stand-in"),
        )
        trainer = Trainer(settings)
        samples = iter(trainer.loader())
        losses.append([trainer.losses(next(samples), audio=False)[0].item()])
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)

"""From clips to samples: what a step is made of, and what is held out."""

import dataclasses

import numpy as np
import pytest
import torch
import training_clips as clips

from echomimic_core.config import LIP_POINTS
from echomimic_core.sampling.schedule import trailing_timesteps
from echomimic_core.training.data.dataset import ClipDataset, StepSampler
from echomimic_core.training.data.shards import HEADSHOT, ShardError, read_manifest
from echomimic_core.training.settings import Settings, parse


def settings(folder, **changes):
    data = {"folders": [str(folder)], "size": 128, "frames": 6}
    return parse(Settings, {"data": data, "train": {"stage": 2}, "apdh": {"phases": [PHASE]}} | changes)


PHASE = {
    "name": "lips",
    "steps": 10,
    "keypoints": ["hands", "body", "face"],
    "pose_dropout": [0.5, 0.5],
    "audio": "lips",
}


def test_a_sample_follows_from_seed_step_and_place_alone(tmp_path):
    folder = clips.two_clips(tmp_path / "clips", headshot=True)
    one, two = ClipDataset(settings(folder)), ClipDataset(settings(folder))
    two[(0, 0)]  # What was drawn before changes nothing
    for key in ((3, 0), (3, 1)):
        a, b = one[key], two[key]
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(one[(3, 0)]["noise"], one[(3, 1)]["noise"])
    assert not torch.equal(one[(3, 0)]["noise"], ClipDataset(settings(folder, seed=1))[(3, 0)]["noise"])


def test_processes_share_a_step_as_one_would_see_it():
    def keys(batch, accumulation, world):
        parts = [list(StepSampler(2, 4, batch, accumulation, rank, world)) for rank in range(world)]
        return [sorted(key for part in parts for key in part if key[0] == step) for step in (2, 3)]

    whole = keys(8, 1, 1)
    assert whole == [[(step, index) for index in range(8)] for step in (2, 3)]
    assert keys(4, 1, 2) == keys(2, 2, 2) == keys(2, 4, 1) == whole


def test_shares_of_headshots_and_dropouts_are_kept(tmp_path):
    folder = clips.two_clips(tmp_path / "clips", frames=8, headshot=True)
    data = ClipDataset(
        settings(folder, data={"folders": [str(folder)], "size": 64, "frames": 2, "headshot_share": 0.25})
    )
    seen = [data[(0, index)] for index in range(200)]
    headshots = np.mean([bool((sample["loss_mask"] == 0).any()) for sample in seen])
    assert headshots == pytest.approx(0.25, abs=0.08)
    assert np.mean([sample["pose_kept"].item() for sample in seen]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([sample["dropped"].item() for sample in seen]) == pytest.approx(0.1, abs=0.06)


def test_a_headshot_hears_and_counts_inside_the_head_only(tmp_path):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12), kind=HEADSHOT)])
    body = PHASE | {"audio": "body"}
    sample = ClipDataset(settings(folder, apdh={"phases": [body]}))[(0, 0)]
    counts, hears = sample["loss_mask"][0, 0] > 0, sample["audio_mask"] > 0
    assert counts.any() and not counts.all()
    assert torch.equal(counts, hears)
    black = sample["frames"].amax((0, 1)) == 0
    assert black.any() and not (sample["pixel_mask"][0] > 0)[black].any()


def test_lips_count_as_often_as_asked_and_the_rest_once(tmp_path):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12))])
    lips = PHASE | {"audio": "lips"}
    plain, weighed = (
        ClipDataset(settings(folder, apdh={"phases": [lips]}, loss=loss))[(0, 0)] for loss in ({}, {"lip_weight": 20.0})
    )
    assert (plain["loss_mask"] == 1).all()
    assert torch.allclose(weighed["loss_mask"][0, 0], 1 + 19 * weighed["audio_mask"])
    assert weighed["loss_mask"].max() > 2 and weighed["loss_mask"].min() == 1


def test_hands_count_as_much_more_as_the_settings_say_where_each_frame_has_them(tmp_path):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12))])
    weighed = ClipDataset(settings(folder, loss={"hand_weight": 8.0}))[(0, 0)]["loss_mask"]
    pose = clips.make_pose(clips.talking(12)[1])
    assert set(weighed.unique().tolist()) == {1.0, 8.0} and not torch.equal(weighed[0], weighed[-1])
    assert (weighed == 8).float().mean() < 0.2 and pose.hands[:, 0].mean((0, 1))[1] > 0.7
    assert (weighed[:, 0, : weighed.shape[-1] // 2] == 1).all()


def test_what_is_decoded_is_a_crop_around_a_hand_or_the_mouth(tmp_path):
    folder = clips.write_clips(tmp_path / "clips", [clips.make_clip(*clips.talking(12))])
    dataset = ClipDataset(settings(folder, loss={"decoded_size": 32}))
    corners = torch.stack([dataset[(0, index)]["crop"] for index in range(20)])
    cells = dataset.settings.data.size // 8
    assert corners.min() >= 0 and corners.max() <= cells - 4
    assert len(corners[:, 1].unique()) > 1
    assert "crop" not in ClipDataset(settings(folder))[(0, 0)]


def test_few_steps_learn_only_where_sampling_goes(tmp_path):
    folder = clips.two_clips(tmp_path / "clips", frames=8)
    seen = {
        steps: {
            ClipDataset(settings(folder, train={"sampling_steps": steps}))[(0, index)]["timestep"].item()
            for index in range(60)
        }
        for steps in (0, 6)
    }
    assert seen[6] == set(trailing_timesteps(6))
    assert len(seen[0]) > 30


@pytest.mark.parametrize("kind", ["semi-body", HEADSHOT])
@pytest.mark.parametrize("faces", ["gone", "none"])
def test_a_clip_without_a_face_is_named_and_not_by_nodes_of_comfyui(tmp_path, kind, faces):
    clip = clips.make_clip(*clips.talking(12), kind=kind)
    hidden = {"face_scores": np.zeros((12, 68))} if faces == "gone" else {"faces": None, "face_scores": None}
    clip.pose = dataclasses.replace(clip.pose, **hidden)
    folder = clips.write_clips(tmp_path / "clips", [clip])
    with pytest.raises(ShardError, match=r"clip 000 of .*a\.safetensors has no points of the lips in frames") as caught:
        ClipDataset(settings(folder))[(0, 0)]
    assert "connect" not in str(caught.value) and "prepare its video again" in str(caught.value)


def test_a_weight_of_lips_that_are_not_there_is_named_by_its_setting(tmp_path):
    clip = clips.make_clip(*clips.talking(12))
    scores = np.ones((12, 68))
    scores[:, LIP_POINTS] = 0
    clip.pose = dataclasses.replace(clip.pose, face_scores=scores)
    folder = clips.write_clips(tmp_path / "clips", [clip])
    body = {"phases": [PHASE | {"audio": "body"}]}
    ClipDataset(settings(folder, apdh=body))[(0, 0)]
    with pytest.raises(ShardError, match=r"points of the lips .* loss.lip_weight 20 needs \(set it to 1") as caught:
        ClipDataset(settings(folder, apdh=body, loss={"lip_weight": 20.0}))[(0, 0)]
    assert "audio" not in str(caught.value) and "prepare its video again" in str(caught.value)


def test_no_folders_is_a_sentence():
    with pytest.raises(ShardError, match="data.folders is empty: give the folders of clips created by prepare"):
        ClipDataset(Settings())


def test_no_clips_is_a_sentence(tmp_path):
    with pytest.raises(ShardError, match="has no manifest.json: make it with"):
        read_manifest(tmp_path)
    short = clips.two_clips(tmp_path / "clips", frames=4)
    with pytest.raises(ShardError, match="none of the 2 clips has the 6 frames"):
        ClipDataset(settings(short))
    (short / "a.safetensors").write_bytes(b"broken")
    with pytest.raises(ShardError, match=r"a\.safetensors cannot be read"):
        read_manifest(short)[0].frames([0])
    (short / "a.safetensors").unlink()
    with pytest.raises(ShardError, match=r"a\.safetensors is missing"):
        read_manifest(short)


def many_clips(folder, videos):
    """Clips of videos {name: number of clips}, six frames each."""
    made = []
    for video, count in videos.items():
        for number in range(count):
            clip = clips.make_clip(*clips.talking(6), name=f"{number:03d}", shard=f"{video}-000.safetensors")
            clip.info = dataclasses.replace(clip.info, source=f"{video}.mp4", start=float(number))
            made.append(clip)
    return clips.write_clips(folder, made)


def held(folder, share):
    data = ClipDataset(settings(folder, data={"folders": [str(folder)], "size": 64, "frames": 2, "held_out": share}))
    assert sorted(clip.info.source for clip in data.all_clips) == sorted(c.info.source for c in read_manifest(folder))
    assert len(data.weights) == len(data.clips)
    return [(clip.info.source, clip.info.start) for clip in data.held_out], data


def test_held_out_clips_are_whole_videos_where_possible_and_never_learned(tmp_path):
    folder = many_clips(tmp_path / "clips", {"a": 2, "b": 2, "c": 6})
    found, data = held(folder, 0.2)
    assert len(found) == 2 and len({source for source, _ in found}) == 1 and found[0][0] != "c.mp4"
    assert held(folder, 2)[0] == found
    # A number that no video fits is the end of one
    assert len(held(folder, 1)[0]) == 1 and held(folder, 1)[0][0][1] in (1.0, 5.0)
    assert data.validation_clips() == data.held_out
    assert not {clip.info.source for clip in data.clips} & {source for source, _ in found}


def test_nothing_is_held_out_unless_asked_and_something_is_always_learned(tmp_path):
    folder = many_clips(tmp_path / "clips", {"a": 2})
    found, data = held(folder, 0.0)
    assert found == [] and data.validation_clips() == data.clips
    with pytest.raises(ShardError, match="data.held_out excludes 2 of 2 clips from training"):
        held(folder, 2)


def test_videos_and_clips_are_held_out_alike_in_every_order(tmp_path):
    folder = many_clips(tmp_path / "clips", {"a": 2, "b": 2, "c": 6})
    found = read_manifest(folder)
    options = settings(folder, data={"folders": [str(folder)], "size": 64, "frames": 2, "held_out": 0.2})
    one, two = ClipDataset(options, found), ClipDataset(options, found[::-1])
    assert {clip.info for clip in one.held_out} == {clip.info for clip in two.held_out}

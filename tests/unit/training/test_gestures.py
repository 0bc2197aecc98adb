"""A gesture planner learns from prepared clips: motion that a voice decides is learnt, its files are written."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echomimic_core.gestures.trained import PlannerConfig, load_planner
from echomimic_core.pose import gestures
from echomimic_core.training.data.shards import (
    SEMI_BODY,
    ClipData,
    ClipInfo,
    encode_jpeg,
    read_manifest,
    write_manifest,
    write_shard,
)
from echomimic_core.training.gestures import LearnSettings, examples_of, learn, main, split

SMALL = PlannerConfig(width=16, layers=1, heads=2, latent=4, head=16, reach=1, context=30)
FRAMES, PIXELS = 96, 16


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Four videos of one clip; hands rise where the voice's states are large."""
    folder, infos = tmp_path_factory.mktemp("prepared"), []
    jpegs = [encode_jpeg(np.zeros((PIXELS, PIXELS, 3), np.uint8))] * FRAMES
    still = gestures.clip("idle", 1)
    for video in range(4):
        rng = np.random.default_rng(video)
        loud = np.repeat(rng.random(FRAMES // 12), 12)
        pose = still.take(np.zeros(FRAMES, int))
        lift = np.stack([np.zeros(FRAMES), -0.2 * loud], 1)
        pose = replace(pose, hands=pose.hands + lift[:, None, None], width=PIXELS, height=PIXELS)
        bodies = pose.bodies.copy()
        bodies[:, [4, 7]] += lift[:, None]
        at = (np.arange(FRAMES * 50 // 24) * 24 / 50).astype(int)
        audio = np.ones((len(at), 5, 384)) * loud[at, None, None]
        info = ClipInfo(f"{video}.safetensors", "0", SEMI_BODY, FRAMES, PIXELS, f"{video}", 0.0)
        write_shard(folder / info.shard, [ClipData(info, jpegs, replace(pose, bodies=bodies), audio, np.zeros(64_000))])
        infos.append(info)
    write_manifest(folder, infos)
    return folder


def test_what_the_voice_decides_is_learnt(prepared, tmp_path):
    examples = examples_of(read_manifest(prepared))
    rows = learn(examples, tmp_path, LearnSettings(steps=200, batch=4, chunks=24, rate=5e-3), SMALL)
    assert [row["step"] for row in rows] == [100, 200] and rows[-1]["loss"] < rows[0]["loss"]
    planner = load_planner(tmp_path / "planner.safetensors")
    height = [
        planner.move(torch.full((200, 5, 384), level), FRAMES).tips()[24:, :, 0, 1].mean() for level in (0.1, 0.9)
    ]
    assert height[0] - height[1] > 0.05


def test_the_command_writes_planner_and_log(prepared, tmp_path, capsys):
    assert main([str(prepared), str(tmp_path / "out"), "--steps", "2", "--batch", "2"]) == 0
    assert load_planner(tmp_path / "out" / "planner.safetensors").config == PlannerConfig()
    assert (tmp_path / "out" / "log.csv").read_text().startswith("step,loss,held_out\n2,")
    assert "4 of 4 clips" in capsys.readouterr().out


def test_equal_seeds_learn_equally(prepared, tmp_path):
    examples = examples_of(read_manifest(prepared))
    settings = LearnSettings(steps=3, batch=2, chunks=12)
    rows = [learn(examples, tmp_path, settings, SMALL)[-1] for _ in range(2)]
    assert rows[0] == rows[1]


def test_clips_of_one_video_are_learnt_or_held_out_together(prepared):
    learnt, held_out = split(examples_of(read_manifest(prepared)) * 2)
    assert held_out and not {e.clip.info.shard for e in learnt} & {e.clip.info.shard for e in held_out}


def test_clips_without_hands_are_a_sentence(prepared, tmp_path):
    with pytest.raises(ValueError, match="none of the 0 clips shows both hands"):
        examples_of([])


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--rate", "-1"], ["--seed", "-1"]])
def test_wrong_arguments_are_a_sentence(prepared, tmp_path, capsys, arguments):
    assert main([str(prepared), str(tmp_path / "out"), *arguments]) == 2
    assert "--steps and --batch" in capsys.readouterr().err


def test_a_folder_that_is_not_prepared_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "manifest.json" in capsys.readouterr().err


def test_progress_stops_it(prepared, tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(examples_of(read_manifest(prepared)), tmp_path, LearnSettings(steps=5, batch=1), SMALL, stop)

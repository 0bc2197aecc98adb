"""Long clips, shortcuts and scarce memory through our nodes in a real ComfyUI's process."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LIKENESS = {
    "no guidance at the end": 24,
    "no guidance at the start": 28,
    "reuse": 18,
    "merge": 19,
    "overlap": 20,
    "preset": 15,
}
"""Least PSNR of each shortcut in dB, for random weights; unrelated latents have about 15."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    return look(tmp_path_factory.mktemp("speed"))


def look(folder: Path, *only: str) -> dict:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set: run python3 tests/run.py")
    script = Path(__file__).with_name("inside_speed.py")
    command = [sys.executable, script, os.environ["COMFYUI_PATH"], REPO, folder, *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_long_clip_stopped_in_its_second_segment_keeps_the_first(seen):
    found = seen["stop_and_resume"]
    assert found["stopped"]["kind"] == "InterruptProcessingException"
    assert found["batches_after_cancel"] == 0, "it went on with other windows"
    assert found["left"] == {"segment_00000.safetensors": True}
    assert len(found["files"]) == 3


def test_queued_again_it_samples_only_the_rest_and_gives_the_same_bytes(seen):
    found = seen["stop_and_resume"]
    whole, rest, nothing = found["batches"]
    assert 0 < rest < whole and nothing == 0
    assert found["same_files"] and found["same_latents"]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of the size of files stands for a full disk")
def test_a_full_disk_keeps_the_finished_segments_and_queued_again_it_goes_on(seen):
    found, (_, rest, _) = seen["full_disk"], seen["stop_and_resume"]["batches"]
    assert found["stopped"]["kind"] == "WriteError"
    assert "the disk is full. Free some space" in found["stopped"]["text"]
    assert "The finished segments (1 of 3) in" in found["stopped"]["text"]
    assert "queue the same graph again to resume" in found["stopped"]["text"]
    assert found["left"] == ["plan.json", "segment_00000.safetensors"], "half a segment was left"
    assert found["rest"] == rest and found["same_files"]


def test_the_long_samplers_latent_remembers_length_and_frame_rate(seen):
    found = seen["stop_and_resume"]
    assert found["shape"] == [40, 4, 4, 6] and found["fps"] == 25.0


def test_the_segments_of_another_run_are_left_alone(seen):
    assert "another run" in seen["stop_and_resume"]["other_run"]["text"]
    assert "use a plain name" in seen["stop_and_resume"]["lost"]["text"]


def test_every_segment_hears_its_own_moment_of_the_voice(seen):
    found = seen["voice_in_its_place"]
    assert found["first_segment"] == 0.0
    assert found["last_frames"] > 1e-2


def test_speed_options_that_are_off_change_no_bit(seen):
    assert seen["shortcuts"]["off_is_exact"] and seen["shortcuts"]["preset_exact"]
    assert seen["shortcuts"]["input_unchanged"], "Speed Options changed the MODEL it was given"


@pytest.mark.parametrize("name", LIKENESS)
def test_a_shortcut_changes_the_result_and_stays_near(seen, name):
    assert LIKENESS[name] < seen["shortcuts"]["psnr"][name] < 80


def test_guidance_in_no_phase_is_the_run_without_guidance(seen):
    assert seen["shortcuts"]["no_guidance_anywhere"] < 1e-6


def test_nodes_that_change_guidance_see_both_halves(seen):
    found = seen["guidance_of_others"]
    assert found["calls"] == 3, "not once a step"
    assert found["least_difference_of_halves"] > 1e-3
    assert found["error"] < 1e-5


def test_windows_are_halved_until_they_fit_and_the_result_is_the_same(seen):
    found = seen["short_memory"]
    assert found["enough"]["batches"] == [64] * 3
    assert found["two windows"]["batches"] == [64] + [32] * 6, "what fitted is not remembered"
    assert found["one half"]["batches"] == [64, 32, 16] + [8] * 24
    assert max(found[name]["error"] for name in ("enough", "two windows", "one half")) < 1e-5


def test_memory_that_never_suffices_is_a_sentence(seen):
    found = seen["short_memory"]["never enough"]
    assert found["kind"] == "MemoryError" and "use a smaller picture" in found["text"]


def test_a_run_that_cannot_fit_is_refused_before_it_starts(seen):
    found = seen["refusal"]
    assert "20 frames at 48x32 need at least" in found["text"] and "Long Sampler" in found["text"]
    assert found["batches"] == 0


def test_the_plan_of_a_run_is_logged(seen):
    plans = seen["progress_and_cancel"]["plans"]
    assert "20 frames, 1 window(s) at once" in plans[0] and "activations" in plans[0]


def test_the_progress_bar_moves_with_every_window(seen):
    found = seen["progress_and_cancel"]
    assert len(set(found["shares"])) == found["windows"] + 1
    for shares in (found["shares"], found["long"]):
        assert shares[0] == 0 and shares[-1] == 1
        assert all(before <= after for before, after in pairwise(shares))
    assert max(after - before for before, after in pairwise(found["long"])) < 0.1


def test_cancel_ends_the_run_within_a_window(seen):
    found = seen["progress_and_cancel"]
    assert found["stopped"]["kind"] == "InterruptProcessingException"
    assert found["batches_until_stop"] == 5


def test_a_clip_is_held_three_times_with_guidance_or_without(seen):
    """The noise, the latents and what the step says of them: core's own guidance and steps would hold twelve."""
    assert all(seen["copies_of_latents"][name]["alive"] <= 3 for name in ("guided", "unguided"))


@pytest.mark.parametrize("run", ["guided", "unguided", "euler", "other guidance"])
def test_a_plan_knows_how_often_a_sampler_holds_the_clip(seen, run):
    """No less, or it would run out of memory; not much more, or it would refuse what fits."""
    found = seen["copies_of_latents"][run]
    assert found["alive"] <= found["planned"] == found["room"]
    assert (found["planned"] == 3) == ("guided" in run)


def test_patches_in_the_weights_do_not_change_a_models_name(seen):
    """A run with LoRA that was stopped is queued again while the patched MODEL is still loaded."""
    found = seen["patched_weights"]
    assert found["loaded"], "the patch was not put into the weights"
    assert found["before"] == found["after"]
    assert len(set(found["before"])) == 2


def test_halves_of_guidance_apart_compute_as_together_where_weights_are_cast(seen):
    assert seen["cast_weights"] < 1e-5


def test_comfyui_s_guidance_split_computes_each_half_on_its_own_device(seen):
    found = seen["two_devices"]
    if not found:
        pytest.skip("this ComfyUI has no MultiGPU CFG Split")
    assert found["own weights"]
    assert found["here"] and found["here"] == found["there"], "the halves went through one network"
    assert max(found["error"], found["patched"], found["unguided"]) < 1e-5


@pytest.mark.release
def test_the_compile_node_makes_one_graph_for_clips_of_any_length(tmp_path):
    found = look(tmp_path, "compiled")["compiled"]
    assert len(found["graphs"]) == 1 and found["graphs"][0] > 100
    assert found["breaks"] == 0
    assert max(found["errors"]) < 1e-4


def test_windows_never_wait_for_the_device(seen):
    """Numbers are read once a step, however many windows it has."""
    few, many = sorted(seen["reads_of_numbers"], key=int)
    assert int(many) >= 7 * int(few)
    assert seen["reads_of_numbers"][few] == seen["reads_of_numbers"][many]

"""The benchmark of hands from a voice: planned hands score, loops and random cuts do not, and figures repeat."""

import numpy as np
import pytest
import torch

from benchmarks import gestures as benchmark
from echomimic_core.gestures.library import built_in
from echomimic_core.gestures.plan import PlanSettings
from echomimic_core.gestures.prosody import listen
from echomimic_core.measures import beats

SECONDS, RATE = 24, 16_000


@pytest.fixture(scope="module")
def voice() -> benchmark.Voice:
    """Syllables of random length and stress, with a pause."""
    rng = np.random.default_rng(0)
    envelope = np.concatenate(
        [
            np.sin(np.pi * np.linspace(0, 1, int(rng.uniform(0.15, 0.4) * RATE))) * rng.choice([0.2, 0.3, 1.0])
            for _ in range(200)
        ]
    )[: SECONDS * RATE]
    envelope[10 * RATE : 13 * RATE] = 0
    tone = np.sin(2 * np.pi * 140 * np.arange(len(envelope)) / RATE) + 0.3 * rng.standard_normal(len(envelope))
    waveform = (0.2 * envelope * tone + 1e-4 * rng.standard_normal(len(envelope))).astype(np.float32)
    heard = listen(torch.from_numpy(waveform))
    # Not librosa's accents, which is not installed everywhere.
    return benchmark.Voice(
        "syllables", heard.accents.numpy(), beats.loudness_of(waveform, len(heard), heard.fps), heard
    )


@pytest.fixture(scope="module")
def rows(voice) -> dict[str, dict]:
    return {row["name"]: row for row in benchmark.run_all([voice], built_in(), range(3), PlanSettings())}


def test_planned_hands_reach_what_is_promised(rows):
    planned = rows["all voices"]
    assert planned["above_chance"] > 2 and planned["correlation"] >= 0.4 and 0 <= planned["lead"] <= 9
    assert planned["pause"] <= 0.4 and 0.2 <= planned["still"] <= 0.65


def test_loops_and_random_cuts_do_not(rows):
    for name in ("looped pose", "random cuts"):
        assert rows[name]["above_chance"] < 2 and rows[name]["correlation"] < 0.2


def test_no_motion_is_hastier_and_no_bone_longer_than_the_library_knows(rows):
    steady = rows["steadiness"]
    assert steady["above_the_library"] == 0 and steady["bones_out_of_range"] == 0


def test_figures_repeat(voice, rows):
    again = benchmark.run_all([voice], built_in(), range(3), PlanSettings())
    assert {row["name"]: row for row in again} == rows


def test_a_row_is_a_line_of_figures(rows):
    assert len(benchmark.text_of(rows["all voices"])) == len(benchmark.HEAD)

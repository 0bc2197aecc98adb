"""The table of styles: what is found, placed and aligned on one person of each kind of picture."""

import pytest

from benchmarks import pose_styles
from benchmarks.pose_styles import HEAD, SAMPLED, STYLES, on_pad, row
from drawn_world import shaded
from echomimic_core.landmarks import load_networks


@pytest.fixture(scope="module")
def networks():
    return load_networks()


@pytest.mark.parametrize("style", ["demo", "outlined"])
def test_person_is_found_and_aligned(style, networks, monkeypatch):
    monkeypatch.setattr(pose_styles, "sampled", lambda model, count: model.name)
    line = row(style, [STYLES[style](0)], networks)
    assert line.count("|") == HEAD.count("|")
    name, bodies, hands, found, aligned, sampling = line.strip("| ").split(" | ")
    assert (name, bodies, hands) == (style, "1 of 1", "2 of 2")
    assert float(found.split()[0]) < 1.5 and float(aligned) > 75
    assert sampling == ("nano.safetensors" if style == "demo" else "not sampled")


@pytest.mark.slow
def test_model_paints_what_moves_better_than_a_still(monkeypatch):
    monkeypatch.setattr(pose_styles, "SAMPLED_FRAMES", 6)
    model, held = (float(part.split()[-2]) for part in pose_styles.sampled(SAMPLED["demo"], 1).split(","))
    assert model > held > 5


def test_person_on_the_pad_is_where_the_truth_is():
    off, aligned, retargeted = on_pad([STYLES["shaded"](0)[1]])
    assert off < 0.002 and aligned > 75 and retargeted > aligned


def test_every_look_of_the_drawn_world_is_a_style():
    assert set(shaded.LOOKS) < set(STYLES) and set(SAMPLED) < set(STYLES)

"""The table of styles: what is found, placed and aligned on one person of each kind of picture."""

import pytest

from benchmarks import pose_styles
from benchmarks.pose_styles import HEAD, SAMPLED, STYLES, row
from drawn_world import shaded
from echomimic_core.landmarks import load_networks


@pytest.fixture(scope="module")
def networks():
    return load_networks()


@pytest.mark.parametrize("style", ["demo", "outlined"])
def test_person_is_found_placed_and_aligned(style, networks, monkeypatch):
    monkeypatch.setattr(pose_styles, "sampled", lambda model, count: model.name)
    name, bodies, hands, found, placed, *scores, sampling = (
        row(style, [STYLES[style](0)], networks).strip("| ").split(" | ")
    )
    assert (name, bodies, hands) == (style, "1 of 1", "2 of 2")
    assert float(found.split()[0]) < 1.5 and float(placed.split()[0]) < 0.2
    assert len(scores) == 3 and all(float(score) > 75 for score in scores)
    assert sampling == ("nano.safetensors" if style == "demo" else "not sampled")


def test_every_look_of_the_drawn_world_is_a_style_with_a_column_for_each_cell():
    assert set(shaded.LOOKS) < set(STYLES) and set(SAMPLED) < set(STYLES)
    assert HEAD.count("|") == 10

"""A library is cut from poses: strokes and rests of one body, saved and loaded exactly, refused in sentences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from echomimic_core.gestures.cutting import library_of, to_body
from echomimic_core.gestures.files import load_library, save_library
from echomimic_core.gestures.library import built_in
from echomimic_core.gestures.motion import gestures_for
from echomimic_core.pose import gestures

from .test_gestures import voice


@pytest.fixture(scope="module")
def talk():
    return gestures.clip("explaining", 240)


@pytest.fixture(scope="module")
def library(talk):
    return library_of([("talk", talk)])[0]


def test_strokes_and_rests_are_cut_out(library):
    assert len(library.strokes) >= 4 and library.rests
    for stroke in library.strokes:
        assert 0 <= stroke.strike <= stroke.apex <= stroke.leave <= len(stroke.chains) and stroke.sides


def test_another_body_gives_the_same_library(talk, library):
    far = replace(talk.map_points(lambda points: points * 0.5 + (0.1, 0.2)), width=1280, height=1280)
    again, _ = library_of([("talk", far)])
    assert len(again.strokes) == len(library.strokes)
    np.testing.assert_allclose(again.strokes[0].chains.lengths, library.strokes[0].chains.lengths, atol=1e-6)


def test_every_clip_is_brought_to_one_body(talk):
    base = gestures.clip("idle", 1)
    moved = to_body(talk.map_points(lambda points: points * 0.4 + 0.3), base)
    np.testing.assert_allclose(moved.bodies[:, [2, 5]].mean(0), base.bodies[0, [2, 5]], atol=0.01)


def test_what_is_saved_is_loaded(library, tmp_path):
    loaded = load_library(save_library(library, tmp_path / "g.safetensors"))
    assert [s.name for s in loaded.strokes] == [s.name for s in library.strokes]
    np.testing.assert_allclose(loaded.strokes[-1].chains.angles, library.strokes[-1].chains.angles, atol=1e-5)
    assert loaded.fps == library.fps and len(loaded.rests) == len(library.rests)


def test_a_voice_moves_as_the_library_does(library):
    pose, planned, _ = gestures_for(voice(), library)
    assert planned.events and {event.stroke.kind for event in planned.events} == {"talk"}
    assert np.isfinite(pose.hands).all()


def test_a_clip_without_arms_is_named(talk):
    with pytest.raises(ValueError, match="handsonly: no stretch of 1.5 s shows both hands and arms"):
        library_of([("handsonly", replace(talk, bodies=None, body_scores=None))])


def test_frames_without_a_hand_are_left_out(talk):
    scores = talk.hand_scores.copy()
    scores[100:140] = 0
    found, _ = library_of([("gap", replace(talk, hand_scores=scores))])
    assert 0 < len(found.strokes) < len(library_of([("talk", talk)])[0].strokes) + 1


def test_progress_cancels(talk):
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library_of([("talk", talk)], progress=cancel)


@pytest.mark.parametrize("fault", ["not a library", "cut", "nan", "marks"])
def test_a_damaged_library_is_a_sentence_with_its_name(tmp_path, fault):
    path = save_library(built_in(), tmp_path / "g.safetensors")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    if fault == "not a library":
        metadata = {"format": "something"}
    elif fault == "cut":
        tensors["angles"] = tensors["angles"][:-5]
    elif fault == "nan":
        tensors["roots"][3] = torch.nan
    else:
        metadata["content"] = metadata["content"].replace('"strike": 1', '"strike": 99999')
    path.unlink()
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match="g.safetensors"):
        load_library(path)

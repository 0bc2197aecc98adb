"""Clips by the small model: segments that outlive a run, Align Pose's settings and shortcuts, and a measured pace."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echomimic_core.config import VARIANTS
from echomimic_core.pose.files import load_any
from echomimic_core.render import ClipSettings, Models, clip, plan
from echomimic_core.render.models import name_of
from echomimic_core.sampling.speed import SpeedOptions
from tests.unit import tiny

module = sys.modules["echomimic_core.render.clip"]  # Not the function of that name.
REPO = Path(__file__).resolve().parents[3]
MODEL = REPO / "demo" / "models" / "nano.safetensors"
NO_MODELS = Models(
    SimpleNamespace(dtype=torch.float32), None, None, None, VARIANTS["standard"], 64, torch.device("cpu"), "model"
)


@pytest.fixture
def light(monkeypatch):
    """Networks that compute nothing, and the segments that were sampled."""
    sampled = []

    def torch_sampler(denoiser, conditions, frames, seed, *_):
        def sample(segment, held, progress):
            progress(0, 1)
            sampled.append(segment.index)
            return torch.rand(segment.frames, 4, 8, 8, generator=torch.Generator().manual_seed(seed))

        return sample

    def align(person, pose, *given):
        sampled.append(given)
        return SimpleNamespace(matrix=np.eye(3)[:2], pose=pose)

    def sample(denoiser, conditions, noise, config, **given):
        sampled.append(given["speed"])
        return noise[:1]

    fakes = {
        "reference_of": lambda *_: tiny.reference(),
        "encode": lambda *_: None,
        "AudioTokens": lambda *_: None,
        "assemble": lambda *_: None,
        "torch_sampler": torch_sampler,
        "decoded": lambda models, latents: latents.numpy(),
        "climb": lambda *_: (None, ()),
        "steady": lambda _: None,
        "on_canvas": lambda *_: None,
        "align": align,
        "warp_picture": lambda picture, *given: sampled.append(given[-1]) or picture,
        "sample": sample,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(module, name, fake)
    return sampled


def make(models, settings, progress=None, folder=None):
    """Frames of a grey picture with the pose that comes along."""
    picture = np.full((64, 64, 3), 127, np.uint8)
    pose = load_any(REPO / "demo" / "inputs" / "gesture.json")
    voice = np.zeros(8000, np.float32)
    return np.stack(list(clip(models, picture, voice, pose, settings, progress, folder=folder)))


class Lost(Exception):
    """Stands for a machine that is lost."""


def lose(done, total):
    if done >= 26:
        raise Lost


def test_a_machine_that_is_lost_costs_one_segment(light, tmp_path):
    folder = tmp_path / "clip.segments"
    settings = ClipSettings(width=64, height=64, frames=40, segment_frames=26, align=False)
    with pytest.raises(Lost):
        make(NO_MODELS, settings, lose, folder)
    assert light == [0]
    resumed = make(NO_MODELS, settings, folder=folder)
    assert light == [0, 1]
    assert np.array_equal(resumed, make(NO_MODELS, settings, folder=tmp_path / "other.segments"))
    # Those of other settings, or of another model, lie beside them.
    make(NO_MODELS, replace(settings, seed=1), folder=folder)
    make(replace(NO_MODELS, name="other"), settings, folder=folder)
    assert light[2:] == 3 * [0, 1] and len(list(folder.iterdir())) == 3


def test_files_of_another_model_have_another_name(tmp_path):
    shutil.copy(MODEL, tmp_path)
    os.utime(tmp_path / MODEL.name, (0, 0))
    assert name_of(tmp_path / MODEL.name) == name_of(MODEL)
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    name = name_of(tmp_path / "a")
    (tmp_path / "a").write_bytes(bytes(2_999_999) + b"1")
    assert name_of(tmp_path / "a") != name and name_of(tmp_path / "a", tmp_path / "a") != name


def test_settings_of_align_pose_and_shortcuts_reach_what_they_set(light):
    speed = SpeedOptions(merge_reference=2)
    of_align = {"framing": "original", "fit_hands": False, "retarget": "five fingers", "fill": "edge"}
    make(NO_MODELS, ClipSettings(width=64, height=64, frames=20, speed=speed, **of_align))
    assert light == [(64, 64, "original", False, "five fingers"), "edge", speed]


def test_what_a_clip_takes_is_planned_from_what_was_measured(monkeypatch):
    settings, now = ClipSettings(steps=5, width=64, height=64, segment_frames=26), [0.0]

    def clip(models, picture, voice, pose, settings, progress):
        for step in range(settings.steps):
            progress(step, settings.steps)
            now[0] += 2.0 if step else 100.0  # The first is slow.
        for _ in range(settings.frames):
            now[0] += 0.5
            yield picture

    monkeypatch.setattr(plan, "clip", clip)
    monkeypatch.setattr(plan.time, "monotonic", lambda: now[0])
    pace = plan.measure(NO_MODELS, settings)
    assert pace == plan.Pace(window=2.0, frame=0.5)
    planner = plan.Planner(MODEL, None, None, "standard", "cpu", None)
    whole = replace(settings, segment_frames=0)
    assert planner.seconds(whole, 90, pace) == 10 * 5 * pace.window + 90 * pace.frame
    assert planner.seconds(settings, 1000, pace) > planner.seconds(whole, 1000, pace)
    assert planner.memory(whole, 10**6) > planner.memory(settings, 10**6)
    assert planner.memory(whole, 90) > planner.weights > MODEL.stat().st_size

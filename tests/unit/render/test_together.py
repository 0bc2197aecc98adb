"""Clips by two processes together: the same pictures as by one, and a job that fails stops neither."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("diffusers")

from echomimic_core.files.durable import write_bytes  # noqa: E402
from echomimic_core.render import ClipSettings, load_models  # noqa: E402
from echomimic_core.render.jobs import Job  # noqa: E402
from echomimic_core.render.make import render_job  # noqa: E402
from echomimic_core.render.output import _write_wave  # noqa: E402
from echomimic_core.render.together import led  # noqa: E402

MODEL = Path(__file__).resolve().parents[3] / "demo" / "models" / "nano.safetensors"
SETTINGS = ClipSettings(width=64, height=64, frames=30, steps=1, align=False)


def pictures(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def test_two_processes_make_the_same_pictures_as_one(tmp_path):
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "face.png")
    _write_wave(tmp_path / "voice.wav", np.random.default_rng(0).normal(0, 0.1, (1, 20_000)), 16_000)
    write_bytes(tmp_path / "broken.wav", b"no sound")
    whole = Job(tmp_path / "face.png", tmp_path / "voice.wav", tmp_path / "whole", settings=SETTINGS, format="png")
    cut = replace(whole, output=tmp_path / "cut", settings=replace(SETTINGS, segment_frames=16))
    broken = replace(whole, audio=tmp_path / "broken.wav", output=tmp_path / "broken")
    with led(partial(load_models, MODEL, None, None, "standard"), ["cpu", "cpu"], [whole, broken, cut]) as make:
        make(whole)
        with pytest.raises(ValueError, match="broken.wav"):
            make(broken)
        make(cut)
    models = load_models(MODEL, device="cpu")
    for job in (whole, cut):
        together = pictures(job.output)
        assert len(together) == 30
        alone = replace(job, output=tmp_path / f"{job.output.name} alone")
        render_job(models, alone)
        assert pictures(alone.output) == together

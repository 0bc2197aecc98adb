"""Data preparation and evaluation on a real Ray cluster: the results of one process, and sentences for what fails."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")

from echomimic_core.evaluation.clips import Clip  # noqa: E402
from echomimic_core.evaluation.passes.cache import Cache  # noqa: E402
from echomimic_core.evaluation.passes.jobs import Job, run_all  # noqa: E402
from echomimic_core.evaluation.settings import Settings  # noqa: E402
from echomimic_core.training.data import prepare as preparing  # noqa: E402
from tests.unit.evaluation_clips import moving_picture, write  # noqa: E402


def test_an_evaluation_has_the_results_of_one_process(cluster, tmp_path):
    real = Clip("a", "video", write(tmp_path / "a.mp4", moving_picture(3)))
    (tmp_path / "broken.mp4").write_text("no video")
    clips = [Clip("a", "video", write(tmp_path / "b.mp4", moving_picture(3, seed=1)))]
    clips.append(Clip("a", "video", tmp_path / "broken.mp4"))
    jobs = [Job(clip, ("psnr", "ssim"), real) for clip in clips]
    told = []

    def outcomes(**where):
        found = run_all(
            jobs, Settings(folders=(), mediapipe=()), Cache(None), 1, lambda *said: told.append(said), **where
        )
        return {job.clip.path.name: results for job, results, _ in found}

    plain, spread = outcomes(), outcomes(ray=cluster.address)
    assert spread["broken.mp4"] == plain["broken.mp4"] and told[-1][0] == told[-1][1]
    for name, values in plain["b.mp4"].items():
        assert all(np.array_equal(spread["b.mp4"][name][key], value) for key, value in values.items())


def test_videos_are_prepared_and_one_that_cannot_be_is_named(cluster, tmp_path):
    def prepare_video(path, name, out, tools, rules, size):
        if "silent" in name:
            raise ValueError(f"{path.name} has no sound")
        return {"clips": [], "rejected": [], "tools": tools}

    def make_tools():
        preparing.prepare_video = prepare_video  # In the worker
        return "tools"

    (tmp_path / "results").mkdir()
    jobs = [(Path(f"{name}.mp4"), name, tmp_path, None, 64, {}) for name in ("a", "silent")]
    jobs.append((Path("b.mp4"), "b", tmp_path / "nowhere", None, 64, {}))
    found = dict(preparing._on_ray(jobs, make_tools, cluster.address))
    assert found["a"]["tools"] == "tools" and (tmp_path / "results" / "a.json").is_file()
    assert found["silent"]["rejected"][0]["reason"] == "silent.mp4 has no sound"
    assert "could not be written" in found["b"]["rejected"][0]["reason"]

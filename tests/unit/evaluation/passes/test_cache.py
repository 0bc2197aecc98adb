"""Results are kept by what they depend on: a rerun reads nothing, and what has changed is evaluated anew."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.metrics.registry import choose
from echomimic_core.evaluation.passes import jobs
from echomimic_core.evaluation.passes.jobs import Job
from echomimic_core.evaluation.sets import gather
from echomimic_core.evaluation.settings import Settings
from echomimic_core.networks import local
from tests.unit.evaluation_clips import Pooled, moving_picture, noisy, small_networks, spoken, write

FPS = 25.0
SPREAD = ["fid", "psnr", "ssim", "lpips", "sync-c", "sync-d", "hkc", "hkv"]


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    return small_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def plain(networks) -> Settings:
    """Settings that need no face."""
    return Settings(folders=(networks,), mediapipe=(), sync_crop="whole")


@pytest.fixture(autouse=True)
def forget_networks():
    yield
    local.load.cache_clear()


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Two generated videos and their real ones."""
    made, real = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("real")
    for seed, name in enumerate(("zoe", "anna")):
        _, sound = spoken(20 + seed * 4, seed=seed)
        pictures = moving_picture(20 + seed * 4, seed=seed)
        write(real / f"{name}.mp4", pictures, sound, FPS)
        write(made / f"{name}.mp4", noisy(pictures, 12), sound, FPS)
    return made, real


def values(evaluation) -> dict[str, float]:
    return {score.metric.key: score.value for score in evaluation.scores}


def test_a_rerun_reads_no_frame(folders, plain, tmp_path, monkeypatch):
    made, real = (gather(folder) for folder in folders)
    keys = choose([*SPREAD, "psnr"])
    first = evaluate(made, real, keys, plain, cache=tmp_path)

    def no_frames(self, fps=None):
        raise AssertionError("a frame was read again")

    monkeypatch.setattr(Clip, "frames", no_frames)
    second = evaluate(*(gather(folder) for folder in folders), keys, plain, cache=tmp_path)
    assert values(second) == values(first)
    assert [r.remarks for r in second.clips] == [r.remarks for r in first.clips]


def test_another_file_under_the_same_name_is_evaluated_anew(tmp_path, plain):
    pictures = moving_picture(6)
    path = write(tmp_path / "a.mp4", pictures)
    real = [Clip("a", "video", write(tmp_path / "real.mp4", pictures))]
    first = evaluate([Clip("a", "video", path)], real, choose(["ssim"]), plain, cache=tmp_path / "cache")
    write(path, noisy(pictures, 40))
    second = evaluate([Clip("a", "video", path)], real, choose(["ssim"]), plain, cache=tmp_path / "cache")
    assert second.value("ssim") < first.value("ssim") - 0.1


def test_another_network_is_evaluated_anew(tmp_path, plain):
    import torch

    for folder, scale in (("one", 1.0), ("two", 3.0)):
        (tmp_path / folder).mkdir()
        torch.jit.script(Pooled(scale)).save(str(tmp_path / folder / "inception-2015-12-05.pt"))
    made = [Clip("a", "video", write(tmp_path / "a.mp4", noisy(moving_picture(6), 20)))]
    real = [Clip("a", "video", write(tmp_path / "b.mp4", moving_picture(6)))]
    found = []
    for folder in ("one", "two"):
        own = replace(plain, folders=(tmp_path / folder,))
        found.append(evaluate(made, real, choose(["fid"]), own, cache=tmp_path / "cache").value("fid"))
    assert found[1] == pytest.approx(9 * found[0], rel=1e-3)


def test_a_damaged_cache_costs_only_time(tmp_path, plain):
    made = [Clip("a", "video", write(tmp_path / "a.mp4", moving_picture(6)))]
    real = [Clip("a", "video", write(tmp_path / "b.mp4", noisy(moving_picture(6), 9)))]
    first = evaluate(made, real, choose(["psnr"]), plain, cache=tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:40])
    second = evaluate(made, real, choose(["psnr"]), plain, cache=tmp_path / "cache")
    assert values(second) == values(first)


def test_what_a_clip_lacks_is_told_of_the_clip_that_has_its_content_now(tmp_path, plain):
    """Facts are kept by content: under another name they are those of that name."""
    sound = np.zeros(6 * 640, np.float32)
    pictures = moving_picture(6)
    shapes = {"made": pictures[:, :32], "real": pictures[:3]}
    for folder, shown in shapes.items():
        for name in ("anna", "berta"):
            (tmp_path / folder).mkdir(exist_ok=True)
            path = write(tmp_path / folder / f"{name}.mp4", shown, None if folder == "made" else sound, FPS)
            path.write_bytes((tmp_path / folder / "anna.mp4").read_bytes())

    def told(name: str) -> str:
        pair = [[clip for clip in gather(tmp_path / folder) if clip.name == name] for folder in shapes]
        found = evaluate(*pair, choose(["fvd", "sync", "ssim"]), plain, cache=tmp_path / "cache")
        return "\n".join([*found.clips[0].remarks, *(score.reason for score in found.scores)])

    first = told("anna")
    for sentence in (
        "anna has fewer than 16 frames",
        "the real clip of anna has fewer than 16 frames",
        "anna has no audio in it",
        "anna is 64x32 but its real clip is 64x64",
    ):
        assert sentence in first
    assert told("berta") == first.replace("anna", "berta")


def test_another_device_or_mediapipe_is_evaluated_anew(tmp_path, plain, monkeypatch):
    job = Job(Clip("a", "video", write(tmp_path / "a.mp4", moving_picture(3))), ("inception", "blendshapes"))
    (tmp_path / "face_landmarker.task").write_bytes(b"a bundle")
    settings = replace(plain, mediapipe=(tmp_path,))
    keys = {name: job.cache_key(name, settings) for name in job.names}
    for name in job.names:
        assert job.cache_key(name, settings) == keys[name] != job.cache_key(name, replace(settings, device="cuda"))
    monkeypatch.setattr(Settings, "mediapipe_version", staticmethod(lambda: "99.0"))
    assert job.cache_key("blendshapes", settings) != keys["blendshapes"]
    assert job.cache_key("inception", settings) == keys["inception"]


def test_a_file_taken_away_meanwhile_stops_nothing(tmp_path, plain, monkeypatch):
    path = write(tmp_path / "a.mp4", moving_picture(6))
    # A copy: x264 does not encode the same pictures alike every time on every processor
    real = [Clip("a", "video", Path(shutil.copy(path, tmp_path / "b.mp4")))]
    compare = jobs.compare
    monkeypatch.setattr(jobs, "compare", lambda *work: (compare(*work), path.unlink())[0])
    found = evaluate([Clip("a", "video", path)], real, choose(["ssim"]), plain, cache=tmp_path / "cache")
    assert found.value("ssim") == pytest.approx(1)

"""The whole evaluation on small clips: perfect on equal ones, worse with noise, nothing hidden."""

import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.evaluation import faces
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.metrics.registry import METRICS, choose
from echomimic_core.evaluation.sets import gather
from echomimic_core.evaluation.settings import Settings
from echomimic_core.networks import local
from tests.unit.evaluation_clips import (
    FixedFaces,
    bundles,
    face_bundle,
    moving_picture,
    noisy,
    small_networks,
    spoken,
    write,
)

FPS = 25.0
# Metrics for which no stand-in can be made here: they need MediaPipe's hands or dlib.
# Nor one in whose sound there is a pause.
REAL_ONLY = {"closed", "csim-dlib", "hkc-mediapipe", "hkv-mediapipe", "hands", "beats", "gesture-diversity", "jitter"}
MADE = [metric for metric in METRICS if metric.key not in REAL_ONLY]
# What cannot be measured where no face and no hand is seen.
NEEDS_SOMEBODY = {"mouth", "hkv-mediapipe", "beats", "gesture-diversity", "jitter"}
SPREAD = ["fid", "psnr", "ssim", "lpips", "sync-c", "sync-d", "hkc", "hkv"]


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    return small_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def settings(networks, tmp_path, monkeypatch) -> Settings:
    """Every network hand-made, and a face in every picture."""
    monkeypatch.setattr(faces, "FaceFinder", FixedFaces)
    return Settings(folders=(networks,), mediapipe=(face_bundle(tmp_path),))


@pytest.fixture(autouse=True)
def forget_networks():
    yield
    local.load.cache_clear()


def talking(frames: int = 40, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A moving picture whose brightness follows a sound."""
    flat, sound = spoken(frames, size=size, seed=seed)
    pictures = flat.astype(float) + moving_picture(frames, size, seed) / 2 - 64
    return pictures.clip(0, 255).astype(np.uint8), sound


def clip(name: str, strength: float = 0, frames: int = 40, seed: int = 0) -> Clip:
    """A talking clip in memory, with noise of that strength on picture and sound."""
    pictures, sound = talking(frames, seed=seed)
    noise = np.random.default_rng(seed + 9).normal(size=sound.shape).astype(np.float32)
    return Clip(
        name,
        "video",
        pictures=noisy(pictures, strength, seed + 5) if strength else pictures,
        rate=FPS,
        sound=(sound + noise * strength / 255, 16000),
    )


def values(evaluation) -> dict[str, float]:
    return {score.metric.key: score.value for score in evaluation.scores}


def test_a_clip_against_itself_is_perfect(settings):
    found = values(evaluate([clip("a")], [clip("a")], MADE, settings))
    assert found["psnr"] == math.inf
    assert found["ssim"] == pytest.approx(1) and found["csim"] == pytest.approx(1, abs=0.02)
    for key in ("fid", "fvd", "lpips", "efid", "efid-blendshapes"):
        assert found[key] == pytest.approx(0, abs=1e-6), key
    assert found["faces"] == 1
    assert None not in found.values()


def test_noise_makes_every_metric_worse_in_order(settings):
    real = clip("a")
    steps = [values(evaluate([clip("a", strength)], [real], MADE, settings)) for strength in (0, 8, 30, 90)]
    for metric in MADE:
        if metric.better in ("higher", "lower") and metric.key != "faces":
            column = [step[metric.key] for step in steps]
            worse = sorted(column, reverse=metric.better == "higher")
            assert column == worse and len(set(column)) == 4, (metric.key, column)


def test_noise_makes_mediapipes_hands_worse(samples):
    folder = bundles("hand_landmarker.task", "pose_landmarker.task")
    from PIL import Image

    picture = np.array(Image.open(samples / "reference" / "0035.png").convert("RGB").resize((512, 512)))
    settings = Settings(folders=(), mediapipe=(folder,))
    chosen = choose(["hkc-mediapipe", "hands"])
    steps = []
    for strength in (0, 150, 400):
        frames = np.stack([noisy(picture, strength, seed) for seed in range(3)])
        steps.append(values(evaluate([Clip("a", "video", pictures=frames, rate=FPS)], None, chosen, settings)))
    confidences = [step["hkc-mediapipe"] for step in steps]
    assert confidences == sorted(confidences, reverse=True) and confidences[0] > 0.7 > confidences[-1]
    assert steps[0]["hands"] == 1 and steps[-1]["hands"] < 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Three generated videos and their real ones."""
    made, real = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("real")
    for seed, name in enumerate(("zoe", "anna", "max")):
        pictures, sound = talking(20 + seed * 4, seed=seed)
        write(real / f"{name}.mp4", pictures, sound, FPS)
        write(made / f"{name}.mp4", noisy(pictures, 12), sound, FPS)
    return made, real


@pytest.fixture
def plain(networks) -> Settings:
    """Settings that need no face, as worker processes have no stand-in for one."""
    return Settings(folders=(networks,), mediapipe=(), sync_crop="whole")


def test_order_of_files_changes_nothing(folders, plain):
    made, real = (gather(folder) for folder in folders)
    first = evaluate(made, real, choose(SPREAD), plain)
    second = evaluate(made[::-1], [real[1], real[2], real[0]], choose(SPREAD), plain)
    assert values(first) == values(second)
    assert [report.name for report in second.clips] == ["anna", "max", "zoe"]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batch_size_changes_nothing(folders, plain, batch):
    made, real = (gather(folder) for folder in folders)
    expected = values(evaluate(made, real, choose(SPREAD), plain))
    found = values(evaluate(made, real, choose(SPREAD), replace(plain, batch=batch)))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("processes", [3])
def test_number_of_processes_changes_nothing(folders, plain, processes):
    made, real = (gather(folder) for folder in folders)
    calls = []
    expected = values(evaluate(made, real, choose(SPREAD), plain))
    found = evaluate(
        made, real, choose(SPREAD), plain, processes=processes, progress=lambda done, total: calls.append((done, total))
    )
    assert values(found) == expected
    assert calls == sorted(calls) and calls[-1][0] == calls[-1][1] > 0


def test_a_set_of_several_clips_pools_distributions_and_averages_the_rest(folders, plain):
    made, real = (gather(folder) for folder in folders)
    found = evaluate(made, real, choose(["psnr", "fid"]), plain)
    psnr = next(score for score in found.scores if score.metric.key == "psnr")
    assert set(psnr.clips) == {"zoe", "anna", "max"}
    assert psnr.value == pytest.approx(np.mean(list(psnr.clips.values())))
    singles = [evaluate([m], [r], choose(["fid"]), plain).value("fid") for m, r in zip(made, real, strict=True)]
    assert found.value("fid") != pytest.approx(np.mean(singles))


def test_memory_does_not_grow_with_the_clip(settings):
    """Frames held at once are those of a few batches and windows, not those of the clip."""
    most = {}
    for length in (100, 400):
        alive: list[weakref.ref] = []
        peak = 0

        class Streamed(Clip):
            def frames(self, fps=None, length=length, alive=alive):
                nonlocal peak
                for index in range(length):
                    frame = np.full((48, 48, 3), 40 + index % 150, np.uint8)
                    alive.append(weakref.ref(frame))
                    yield index / FPS, frame
                    del frame
                    alive[:] = [ref for ref in alive if ref() is not None]
                    peak = max(peak, len(alive))

        sound = (np.random.default_rng(0).normal(0, 0.1, length * 640).astype(np.float32), 16000)
        made, real = (Streamed(name, "video", rate=FPS, sound=sound) for name in ("a", "a"))
        evaluate([made], [real], MADE, settings)
        gc.collect()
        most[length] = peak
    # Two threads read ahead; which of them is in front is theirs to say.
    assert abs(most[400] - most[100]) <= 2 and most[400] < 60


def test_a_clip_that_equals_its_real_one_does_not_make_the_set_perfect(plain):
    """Its PSNR is infinite; the set's is that of the others, and says so."""
    real = [clip(name, seed=seed) for seed, name in enumerate(("same", "near", "far"))]
    made = [clip("same"), clip("near", 8, seed=1), clip("far", 40, seed=2)]
    (psnr,) = evaluate(made, real, choose(["psnr"]), plain).scores
    assert psnr.clips["same"] == math.inf
    assert psnr.value == pytest.approx((psnr.clips["near"] + psnr.clips["far"]) / 2)
    assert (psnr.used, psnr.total) == (2, 3)
    assert psnr.left_out == {"same": "it equals its real clip, so its PSNR has no finite value"}
    assert "clips that are equal have no finite value and count only if all are" in psnr.metric.definition
    (psnr,) = evaluate(real[:2], real[:2], choose(["psnr"]), plain).scores
    assert psnr.value == math.inf and (psnr.used, psnr.left_out) == (2, {})


def test_fvd_tells_of_how_many_frames_its_stretches_are(plain):
    for frames, settings in ((16, plain), (32, replace(plain, clip_frames=32))):
        (score,) = evaluate([clip("a", 5, 64)], [clip("a", 0, 64)], choose(["fvd"]), settings).scores
        assert score.value > 0 and f"stretches of {frames} frames" in score.metric.definition


def test_a_picture_without_frames_is_not_told_to_lack_a_face(plain):
    """Of what FID looks at, faces are no part."""
    nothing = Clip("a", "video", pictures=np.zeros((0, 8, 8, 3), np.uint8), rate=FPS)
    nothing = replace(nothing, name="a")
    object.__setattr__(nothing, "_frames_in_memory", lambda fps: iter(()))
    (score,) = evaluate([nothing], [clip("a")], choose(["fid"]), plain).scores
    assert score.reason == "a gives no samples for FID: it has no frames"


def test_progress_counts_up_to_the_end_and_may_cancel(settings):
    calls = []
    evaluate([clip("a")], [clip("a", 5)], MADE, settings, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls) and calls[0][0] == 0 and calls[-1][0] == calls[-1][1]

    class Stop(Exception):
        pass

    def cancel(done, total):
        if done >= 7:
            raise Stop

    with pytest.raises(Stop):
        evaluate([clip("a")], [clip("a", 5)], MADE, settings, progress=cancel)


def test_a_missing_face_counts_against_likeness(settings):
    whole = clip("a")
    dark = whole.pictures.copy()
    dark[10:30] = 0
    half = replace(whole, pictures=dark)
    chosen = choose(["csim", "faces"])
    bright, gone = (values(evaluate([c], [whole], chosen, settings)) for c in (whole, half))
    assert gone["faces"] == 0.5
    assert gone["csim"] == pytest.approx(bright["csim"] / 2, rel=0.05)


def test_the_reference_picture_is_who_counts(settings):
    real = clip("a")
    other = Clip("picture", "picture", pictures=noisy(real.pictures[:1], 120))
    own = Clip("picture", "picture", pictures=real.pictures[:1])
    own_likeness, other_likeness = (
        evaluate([real], [real], choose(["csim"]), settings, pictures=[p]).value("csim") for p in (own, other)
    )
    assert own_likeness > other_likeness
    assert evaluate([real], [other], choose(["csim"]), settings).value("csim") == other_likeness


@pytest.fixture
def troubled(tmp_path) -> tuple[Path, Path]:
    """A folder with one good clip among many bad ones, and the real clips."""
    made, real = tmp_path / "made", tmp_path / "real"
    made.mkdir(), real.mkdir()
    pictures, sound = talking(30)
    write(made / "good.mp4", noisy(pictures, 9), sound, FPS)
    write(made / "mute.mp4", pictures, None, FPS)
    write(made / "dark.mp4", np.zeros_like(pictures), sound, FPS)
    write(made / "single.mp4", pictures[:1], sound[:640], FPS)
    write(made / "shorter.mp4", pictures[:20], sound, FPS)
    write(made / "alone.mp4", pictures, sound, FPS)
    write(made / "wide.mp4", pictures[:, :32], sound, FPS)
    (made / "garbage.mp4").write_bytes(b"this is no video" * 99)
    (made / "empty.mp4").touch()
    (made / "notes.txt").write_text("not a clip")
    for path in made.glob("*.mp4"):
        if path.stem != "alone":
            write(real / path.name, pictures, sound, FPS)
    return made, real


def test_bad_clips_are_sentences_and_the_others_are_evaluated(troubled, settings):
    made, real = troubled
    found = evaluate(gather(made), gather(real), MADE, replace(settings, sync_crop="face"))
    scores = {score.metric.key: score for score in found.scores}
    for key in ("psnr", "ssim", "lpips", "sync-c", "hkc", "csim", "mouth", "faces"):
        assert "good" in scores[key].clips, (key, scores[key].reason)
    for key in ("fid", "fvd", "efid"):
        assert scores[key].value is not None, (key, scores[key].reason)
    remarks = {report.name: " ".join(report.remarks) for report in found.clips}
    assert "mute has no audio" in remarks["mute"]
    assert "no face is found in any frame" in remarks["dark"] and scores["csim"].clips["dark"] == 0
    assert "garbage.mp4 cannot be read as video" in remarks["garbage"]
    assert "empty.mp4 cannot be read as video" in remarks["empty"]
    assert "single does not have 5 consecutive frames" in remarks["single"]
    assert "single has fewer than 16 frames, too few for FVD" in remarks["single"]
    assert "the real clip is longer than this one: only the first 20 frames are compared" in remarks["shorter"]
    assert "the reference has nothing named alone" in remarks["alone"]
    assert "crop the real clip to the same framing" in remarks["wide"]
    assert "good" not in {name for name, text in remarks.items() if text}
    assert "notes" not in remarks


def test_a_network_that_fails_leaves_the_others_alone(tmp_path, settings, networks):
    broken = tmp_path / "syncnet_v2.model"
    broken.write_bytes(b"nonsense")
    found = evaluate(
        [clip("a")], [clip("a", 3)], choose(["sync-c", "ssim", "fid"]), replace(settings, chosen={"syncnet": broken})
    )
    assert found.value("sync-c") is None and found.value("ssim") and found.value("fid")
    assert "cannot be used as SyncNet" in found.scores[-1].reason


def test_missing_networks_are_never_replaced_silently(tmp_path):
    found = evaluate([clip("a")], [clip("a", 3)], None, Settings(folders=(tmp_path,), mediapipe=(tmp_path,)))
    computed = {score.metric.key for score in found.scores if score.value is not None}
    # Hands and faces are found by the built-in networks; these clips show neither.
    assert computed == {"psnr", "ssim", "flicker", "faces", "hands", "hkc-mediapipe"}
    for score in found.scores:
        told = "http" in score.reason or score.metric.key in (
            "mouth",
            "closed",
            "hkv-mediapipe",
            "beats",
            "gesture-diversity",
            "jitter",
        )
        assert score.value is not None or told, score.metric.key


def test_asking_for_a_metric_without_its_network_offers_the_alternative_beside_it(tmp_path):
    bare = Settings(folders=(tmp_path,), mediapipe=(tmp_path,))
    keys = [s.metric.key for s in evaluate([clip("a")], None, choose(["hkc", "csim", "efid"]), bare).scores]
    assert keys == ["efid", "efid-blendshapes", "hkc", "hkc-mediapipe", "csim", "csim-dlib"]


def test_with_its_network_a_metric_stands_alone(settings):
    assert [s.metric.key for s in evaluate([clip("a")], None, choose(["HKC"]), settings).scores] == ["hkc"]


def test_metrics_that_compare_ask_for_a_real_clip(settings):
    found = evaluate([clip("a")], None, choose(["psnr", "fid", "hkc"]), settings)
    assert found.value("hkc") is not None
    assert all("give a reference" in score.reason for score in found.scores if score.metric.key != "hkc")


def test_different_frame_rates_are_compared_by_time(plain):
    pictures = moving_picture(48)
    made = Clip("a", "video", pictures=pictures[::2], rate=12.0)
    real = Clip("a", "video", pictures=pictures, rate=24.0)
    found = evaluate([made], [real], choose(["psnr"]), plain)
    assert found.value("psnr") == math.inf
    assert found.clips[0].remarks == ["the real clip has 24 fps, the generated one 12: compared at the same times"]


def test_a_real_clip_of_another_size_is_scaled_and_said_so(plain):
    pictures = moving_picture(4, 128)
    half = pictures.reshape(4, 64, 2, 64, 2, 3).mean((2, 4)).round().astype(np.uint8)
    made, real = Clip("a", "video", pictures=half, rate=FPS), Clip("a", "video", pictures=pictures, rate=FPS)
    found = evaluate([made], [real], choose(["ssim"]), plain)
    assert found.value("ssim") > 0.99
    assert found.clips[0].remarks == ["the real clip was scaled from 128x128 to 64x64"]


def test_unknown_names_are_sentences(tmp_path):
    with pytest.raises(ValueError, match="there is no metric 'beauty': choose from fid"):
        choose(["beauty"])
    with pytest.raises(ValueError, match="there is no file or folder"):
        gather(tmp_path / "nothing")
    with pytest.raises(ValueError, match="contains no videos"):
        gather(tmp_path)
    (tmp_path / "a.mp4").touch()
    (tmp_path / "a.mov").touch()
    with pytest.raises(ValueError, match="have the same name"):
        gather(tmp_path)

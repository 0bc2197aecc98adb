"""Methods side by side: which is marked as the best, and how values stand in tables for terminals and papers."""

import numpy as np
import pytest

from echomimic_core.evaluation import report
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import Evaluation, evaluate
from echomimic_core.evaluation.findings import ClipReport
from echomimic_core.evaluation.methods import Comparison
from echomimic_core.evaluation.metrics.registry import BY_KEY, METRICS, choose
from echomimic_core.evaluation.report import text
from echomimic_core.evaluation.scores import Score
from echomimic_core.evaluation.settings import Settings
from tests.unit.evaluation_clips import moving_picture, noisy

NAMES = ("anna", "max", "zoe")
FLICKER = BY_KEY["flicker"]


def grainy(name: str, strength: float) -> Clip:
    """A clip whose still background has noise of its own in every frame."""
    still = np.repeat(moving_picture(1, 48), 6, axis=0)
    return Clip(name, "video", pictures=noisy(still, strength, len(name)), rate=25.0)


def set_of(strength: float) -> list[Clip]:
    return [grainy(name, strength) for name in NAMES]


@pytest.fixture(scope="module")
def flickering() -> Comparison:
    """A real camera's grain, a method that is near it, and one that blurs everything."""
    real, settings = set_of(4), Settings(folders=(), mediapipe=())
    methods = {"ours": set_of(5), "blurred": set_of(0), "rough": set_of(12)}
    return Comparison({name: evaluate(made, real, choose(["flicker"]), settings) for name, made in methods.items()})


def test_the_best_flicker_is_the_one_nearest_to_the_real_clips(flickering):
    values = {name: score.value for name, score in flickering.row(FLICKER).items()}
    assert values["blurred"] < flickering.real(FLICKER) < values["ours"] < values["rough"]
    assert flickering.best(FLICKER) == {"ours"}


def test_without_real_clips_no_flicker_is_the_best():
    settings = Settings(folders=(), mediapipe=())
    alone = {name: evaluate(set_of(s), None, choose(["flicker"]), settings) for name, s in (("a", 1), ("b", 9))}
    assert Comparison(alone).best(FLICKER) == set() and Comparison(alone).real(FLICKER) is None


def test_real_clips_of_an_unpaired_set_have_a_flicker_too():
    settings = Settings(folders=(), mediapipe=())
    found = evaluate(set_of(12), [grainy("elsewhere", 4)], choose(["flicker"]), settings, unpaired=True)
    alone = evaluate([grainy("elsewhere", 4)], None, choose(["flicker"]), settings)
    assert found.score("flicker").real == alone.value("flicker") < found.value("flicker")


def test_real_values_stand_beside_those_of_methods(flickering):
    real = text.number(flickering.real(FLICKER))
    lines = report.compared(flickering).splitlines()
    assert lines[0].split() == ["metric", "ours", "blurred", "rough", "real", "clips"]
    assert lines[1].startswith("Flicker →") and lines[1].endswith(real) and lines[1].count("*") == 1
    latex = report.as_latex(flickering)
    assert rf"Real clips & {real} \\" in latex and r"Flicker $\rightarrow$" in latex


def test_deviations_and_second_names_stand_in_tables_for_terminals_and_papers():
    clips = [ClipReport(name) for name in NAMES]
    values = dict(zip(NAMES, (6.0, 7.0, 8.0), strict=True))
    score = Score(BY_KEY["sync-c"], 7.0, clips=values, used=3, total=3, deviation=1.0)
    worse = Score(BY_KEY["sync-c"], 6.0, clips=values, used=3, total=3, deviation=1.5)
    both = Comparison({"ours": Evaluation([score], clips), "other": Evaluation([worse], clips)})
    line = report.compared(both).splitlines()[1]
    assert line.split() == ["Sync-C", "(LSE-C)", "↑", "7.0000", "±", "1.0000", "*", "6.0000", "±", "1.5000"]
    assert report.as_text(both.methods["ours"]).splitlines()[1].startswith("Sync-C (LSE-C) ↑  7.0000  ± 1.0000")
    latex = report.as_latex(both)
    assert r"\textbf{7.0000} {\scriptsize $\pm$ 1.0000}" in latex and r"Sync-C (LSE-C) $\uparrow$" in latex
    assert "Real clips" not in latex


def test_a_metric_that_one_method_lacks_stays_empty():
    psnr, ssim = (Score(BY_KEY[key], 0.5, used=1, total=1) for key in ("psnr", "ssim"))
    uneven = Comparison({"a": Evaluation([psnr, ssim], []), "b": Evaluation([psnr], [])})
    assert report.compared(uneven).splitlines()[2].split() == ["SSIM", "↑", "0.5000"]


def test_what_every_method_lacks_is_said_once():
    lost, why = BY_KEY["fid"], "the FID Inception network is missing: put it there"
    methods = {}
    for name in ("ours", "other"):
        psnr = Score(BY_KEY["psnr"], 30.0, used=1, total=2, left_out={"max": f"{name} is torn"})
        methods[name] = Evaluation([Score(lost, None, why), psnr], [])
    shown = report.compared(Comparison(methods))
    assert shown.count(why) == 1 and shown.index(why) < shown.index("== ours ==")
    ours, other = shown.split("== ours ==")[1].split("== other ==")
    assert "max, left out of PSNR: ours is torn" in ours and "max, left out of PSNR: other is torn" in other
    assert "FID" not in ours + other


def test_only_what_the_real_clip_cannot_beat_is_better_when_higher_or_lower():
    """Where the definition calls the real clip's or the driving pose's value good, no value is marked for its size."""
    of_its_size = {"hkc-mediapipe", "hands"}  # Confidence and shares found: more is better up to the real one's.
    for metric in METRICS:
        if metric.good.startswith("that of") or metric.good.startswith("as the real"):
            assert metric.better in ("real", "") or metric.key in of_its_size, metric.key


def test_a_reason_with_semicolons_is_said_once():
    """Reasons are compared whole, whatever they contain."""
    why = "clip.mp4 cannot be read as video: moov atom not found; is it complete?"
    clip = ClipReport("clip", remarks=[why, "the left hand is missing in 5% of the frames"])
    lost = Score(BY_KEY["ssim"], None, why, left_out={"clip": why}, total=1)
    found = Evaluation([lost], [clip])
    assert text.own_remarks(clip, found) == clip.remarks[1:] and report.as_text(found).count(why) == 1

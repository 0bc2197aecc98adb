"""The evaluation's pages opened from disk in a real Chromium: its report, and the blind comparison with its votes."""

import json
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from comfy_page import CHROMIUM_ARGUMENTS

from echomimic_core.evaluation import report
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import Evaluation
from echomimic_core.evaluation.findings import ClipReport
from echomimic_core.evaluation.methods import Comparison
from echomimic_core.evaluation.metrics.registry import METRICS
from echomimic_core.evaluation.report import page as report_page
from echomimic_core.evaluation.report import stills
from echomimic_core.evaluation.report.setup import Setup
from echomimic_core.evaluation.scores import Score
from echomimic_core.evaluation.study import QUESTIONS, as_text, count, make
from tests.unit.evaluation_clips import moving_picture, write

WIDTHS, SCHEMES = (390, 1000, 1600), ("light", "dark")
METHODS = ("ours", "other method")
# What WCAG 2 asks of text.
LEAST_CONTRAST = 4.5
MOST_BYTES, MANY_CLIPS = 5_000_000, 200
# Parts of a page that reach beyond it to the right, unless they lie in a box of their own that scrolls.
BEYOND = """() => [...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.wide') && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => e.outerHTML.slice(0, 80))"""
# Of each text the colour, and the colour behind it: those of the nearest parents that have one.
COLOURS = """() => [...document.querySelectorAll('body *')]
    .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .filter(e => !e.disabled)
    .map(e => {
        let behind = e;
        while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
        const style = getComputedStyle(e);
        return [e.textContent.trim().slice(0, 30), e instanceof SVGElement ? style.fill : style.color,
                behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'];
    })"""


@pytest.fixture(scope="module")
def browser():
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=os.environ["CHROMIUM"], args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Opens a file of the disk at a width and in a colour scheme; what goes wrong in the page fails the test."""
    pages, complaints = [], []

    def open_file(path: Path, width: int = 1000, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), lambda route: route.abort())
        page.goto(path.as_uri())
        return page

    yield open_file
    for page in pages:
        page.close()
    assert complaints == []


def contrast(first: str, second: str) -> float:
    """Contrast of two colours "rgb(r, g, b)" as WCAG 2 defines it, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def evaluation(files: dict[str, Path], method: str, names: list[str], frames: int) -> Evaluation:
    """Synthetic results of every metric for clips that all show the same videos."""
    draws = np.random.default_rng(len(method))
    clips = []
    for name in names:
        curves = {key: draws.uniform(0, 1, frames) for key in ("mouth", "left hand", "right hand", "ssim", "identity")}
        curves |= {"loudness": draws.uniform(-60, 0, frames), "psnr": draws.uniform(15, 30, frames)}
        curves["mouth"][:3] = np.nan
        clips.append(ClipReport(name, 25.0, ["the left hand is missing in 5% of the frames"], curves))
    scores = []
    for metric in METRICS:
        values = dict(zip(names, draws.uniform(0, 1, len(names)).tolist(), strict=True))
        mean = float(np.mean(list(values.values())))
        if metric.scope == "set":
            scores.append(Score(metric, mean, used=len(names), total=len(names), samples=(9999, 9999)))
        elif metric.key == "hkc":
            reason = (
                "DWPose is missing: put dw-ll_ucoco_384_bs5.torchscript.pt into models (from https://example.org/a/b)"
            )
            scores.append(Score(metric, reason=reason, total=len(names)))
        else:
            counts, real = {"used": len(names), "total": len(names)}, 0.4 if metric.better == "real" else None
            scores.append(Score(metric, mean, "", values, **counts, deviation=0.1, interval=(0.4, 0.6), real=real))
    sources, real = ({name: Clip(name, "video", files[which]) for name in names} for which in (method, "real"))
    return Evaluation(scores, clips, ["a note"], sources, real)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A playable video of each method and a real one, below the folder in which the page will be."""
    folder = tmp_path_factory.mktemp("report")
    found = {}
    for seed, name in enumerate((*METHODS, "real")):
        (folder / name).mkdir()
        found[name] = write(folder / name / "a clip #1.mp4", moving_picture(4, 96, seed))
    return found


@pytest.fixture(scope="module")
def page_file(files) -> Path:
    names = ["anna", "a very long name of a clip, as of a download [NBMTc71yrpk]", "zoe"]
    compared = Comparison({name: evaluation(files, name, names, 60) for name in METHODS})
    data = {f"real/{name}": "0123456789abcdef" * 4 for name in names}
    protocol = {"FVD": "all: all stretches of 16 frames without overlap, every clip"}
    command = "python -m echomimic_core.evaluation --method ours=/a/very/long/folder/of/results/without/any/space/in/it"
    setup = Setup("2026-01-01T00:00:00+00:00", command, {"torch": "2.9"}, {"i3d": "rgb_imagenet.pt"}, data, protocol)
    return report.save(compared, files["real"].parents[1] / "report.html", setup)[0]


def assert_fits_and_reads(page, scheme: str) -> None:
    """Nothing is cut off or hangs over, and every text stands out from what is behind it."""
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.evaluate(BEYOND) == []
    colours = page.evaluate(COLOURS)
    assert len(colours) > 5
    weak = [(text, *pair) for text, *pair in colours if contrast(*pair) < LEAST_CONTRAST]
    assert weak == []
    is_dark = contrast(page.evaluate("() => getComputedStyle(document.body).backgroundColor"), "rgb(0, 0, 0)") < 3
    assert is_dark == (scheme == "dark")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_fits_and_reads(opened, page_file, width):
    for scheme in SCHEMES:
        page = opened(page_file, width, scheme)
        page.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true })")
        page.wait_for_function("() => document.querySelector('svg path')?.getBBox().width > 100")
        assert_fits_and_reads(page, scheme)
    # The main table can be read without scrolling in it, values beside their names.
    boxes = "() => [...document.querySelector('table').rows[1].cells].map(c => c.getBoundingClientRect().right)"
    rights = page.evaluate(boxes)
    assert rights[len(METHODS)] <= min(width, 760)


def test_columns_sort_by_number_both_ways_and_what_is_missing_comes_last(opened, page_file):
    page = opened(page_file)
    column = """() => [...document.querySelector('table').tBodies[0].rows].map(row => row.cells[1].dataset.sort)"""
    head = page.locator("table").first.locator("th").nth(1)
    for direction, reverse in (("ascending", False), ("descending", True)):
        head.locator("button").click()
        values = page.evaluate(column)
        numbers = [float(value) for value in values if value]
        assert values[-1] == "" and numbers == sorted(numbers, reverse=reverse) and len(set(numbers)) > 10
        assert head.get_attribute("aria-sort") == direction
    names = page.locator("table").first.locator("th").nth(0)
    names.locator("button").press("Enter")
    rows = page.locator("table").first.locator("tbody td:first-child").all_inner_texts()
    assert [row[:4] for row in rows] == sorted((row[:4] for row in rows), key=str.lower)


def test_clips_have_players_with_posters_beside_the_real_one(opened, page_file):
    page = opened(page_file)
    first = page.locator("article").first
    assert first.locator("figcaption").all_inner_texts()[:3] == ["real", *METHODS]
    assert page.locator("article video[poster^='data:image/jpeg']").count() == 9
    # A name with a space and a number sign is found from the page, and plays.
    load = """async () => { const video = document.querySelector('article video'); video.muted = true;
        await video.play(); return [video.videoWidth, video.getAttribute('src')] }"""
    assert page.evaluate(load) == [96, "real/a%20clip%20%231.mp4"]
    page.locator("a[href^='#clip']").last.click()
    assert page.evaluate("() => document.querySelector(':target').querySelector('h3').textContent") == "zoe"


def test_curves_are_drawn_when_they_are_opened(opened, page_file):
    page = opened(page_file)
    assert page.locator("svg").count() == 0
    page.locator("summary", has_text="Curves of ours").first.click()
    page.locator("svg").first.wait_for()
    assert page.locator("article").first.locator("svg").count() == 4
    paths = page.evaluate("() => [...document.querySelectorAll('svg path')].map(path => path.getAttribute('d'))")
    assert all(path.startswith("M") and path.count("L") > 40 for path in paths)
    assert page.locator("svg .missing").count() >= 1


def test_a_report_of_two_methods_and_200_clips_stays_below_5_mb(files, tmp_path, monkeypatch):
    """With pictures that are hard to compress and a minute of curves; one picture stands for all, to be quick."""
    noise = np.random.default_rng(0).integers(0, 255, (360, 360, 3)).astype(np.uint8)
    monkeypatch.setattr(stills, "still", lambda clip, seconds: noise)
    encode = lru_cache(lambda most, jpeg=stills.jpeg: jpeg(noise, most))
    monkeypatch.setattr(stills, "jpeg", lambda picture, most: encode(most))
    names = [f"clip number {index:03d}" for index in range(MANY_CLIPS)]
    compared = Comparison({name: evaluation(files, name, names, 1500) for name in METHODS})
    data = {f"{method}/{name}": "0123456789abcdef" * 4 for name in names for method in (*METHODS, "real")}
    written = report_page.page(compared, Setup("2026", "", {}, {}, data, {}), tmp_path)
    assert 2_000_000 < len(written.encode()) <= MOST_BYTES


@pytest.fixture
def study(files, tmp_path) -> Path:
    """The page of a study of two clips with their real ones; its key is next to its folder."""
    methods = {
        name: [Clip(clip, "video", files[which]) for clip in ("anna", "max")]
        for name, which in zip(("ours", "other"), METHODS, strict=True)
    }
    make(methods, tmp_path / "study", real=[Clip("anna", "video", files["real"])])
    return tmp_path / "study" / "study.html"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_study_fits_and_reads(opened, study, width):
    for scheme in SCHEMES:
        page = opened(study, width, scheme)
        page.wait_for_function("() => [...document.querySelectorAll('video')].every(video => video.videoWidth === 96)")
        assert_fits_and_reads(page, scheme)


def test_votes_given_in_the_page_are_counted_by_the_command(opened, study, tmp_path):
    key = study.parent.with_name("study.key.json")
    methods = {
        name: method for one in json.loads(key.read_text())["trials"].values() for name, method in one["videos"].items()
    }
    page = opened(study)
    answered = 0
    while page.locator("form").count():
        # Whatever the sides: ours for the first question, the other for the second, no difference for the third.
        sides = page.evaluate("() => [...document.querySelectorAll('[name=q0]')].map(input => input.value)")
        by_method = {methods.get(value, "tie"): value for value in sides}
        page.get_by_role("button", name="Next").or_(page.get_by_role("button", name="Finish")).click()
        assert page.locator("form").count() == 1, "an unanswered trial went on"
        for question, method in enumerate(("ours", "other", "tie")):
            page.check(f"[name=q{question}][value='{by_method[method]}']")
        page.locator("form button").click()
        answered += 1
        if answered == 1:
            page.reload()
            assert page.locator("main > p").first.inner_text() == "2 of 2"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my votes").click()
    votes = tmp_path / download.value.suggested_filename
    download.value.save_as(votes)
    result = count(key, [votes])
    assert [one.question for one in result] == list(QUESTIONS)
    assert [(one.wins["ours"], one.wins["other"], one.ties) for one in result] == [(2, 0, 0), (0, 2, 0), (0, 0, 2)]
    assert "ours preferred in 100% [16%, 100%]" in as_text(result)

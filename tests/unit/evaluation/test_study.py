"""A blind study: nothing in what is handed on says whose video is which, and votes become shares with an interval."""

import json
import re
from pathlib import Path

import pytest

from echomimic_core.evaluation.sets import gather
from echomimic_core.evaluation.statistics import exact_interval
from echomimic_core.evaluation.study import BOOTSTRAP, EXACT, OF_ONE, QUESTIONS, as_text, count, main, make


@pytest.fixture
def place(tmp_path) -> Path:
    for method in ("ours", "other", "real"):
        (tmp_path / method).mkdir()
        for name in ("anna", "max"):
            (tmp_path / method / f"{name}.mp4").write_bytes(f"{method} {name}".encode())
    return tmp_path


@pytest.fixture
def key(place) -> Path:
    sets = {method: gather(place / method) for method in ("ours", "other")}
    return make(sets, place / "study", real=gather(place / "real"))


def trials(place: Path) -> dict:
    page = (place / "study" / "study.html").read_text("utf-8")
    return json.loads(re.search(r'id="study">(.*?)</script>', page)[1])


def test_what_is_handed_on_does_not_say_whose_video_is_which(place, key):
    page = (place / "study" / "study.html").read_text("utf-8")
    assert not any(word in page for word in ("ours", "anna", str(place)))
    study = trials(place)
    files = {path.name for path in (place / "study" / "videos").iterdir()}
    assert len(files) == 6 and all(re.fullmatch(r"[0-9a-f]{16}\.mp4", name) for name in files)
    assert {name for one in study["trials"] for name in (*one["videos"], one["real"])} == files
    assert key == place / "study.key.json"
    content = json.loads(key.read_text("utf-8"))
    for trial in content["trials"].values():
        for name, method in trial["videos"].items():
            assert (place / "study" / "videos" / name).read_text() == f"{method} {trial['clip']}"


def vote(place: Path, key: Path, participant: str, choices: list[str]) -> Path:
    """Votes of a participant for the methods (or "tie") of each trial, the same for every question."""
    content, votes = json.loads(key.read_text("utf-8")), []
    for (trial, known), choice in zip(content["trials"].items(), choices, strict=False):
        videos = {method: name for name, method in known["videos"].items()} | {"tie": "tie"}
        answers = [{"question": question, "choice": videos[choice]} for question in QUESTIONS]
        votes.append({"trial": trial, "left": "", "right": "", "answers": answers})
    path = place / f"{participant}-{len(votes)}.json"
    one = {"format": "echomimicv2-votes", "study": content["id"], "participant": participant, "votes": votes}
    path.write_text(json.dumps(one))
    return path


def test_votes_become_shares_with_an_interval_over_people(place, key):
    files = [vote(place, key, f"p{i}", ["ours", "ours"]) for i in range(7)]
    files += [vote(place, key, f"q{i}", ["ours", "other"]) for i in range(2)]
    files += [vote(place, key, "r", ["tie", "other"]), vote(place, key, "r", ["other"])]
    result = count(key, files)
    assert [one.question for one in result] == list(QUESTIONS)
    one = result[0]
    # Of r's two files the longer counts.
    assert (one.wins, one.ties, one.participants) == ({"ours": 16, "other": 3}, 1, 10)
    assert one.share == pytest.approx((7 * 1 + 2 * 0.5 + 0.25) / 10)
    assert 0.5 < one.interval[0] < one.share < one.interval[1] <= 1 and one.p < 0.02
    assert "ours preferred in 82%" in as_text(result)


def test_few_or_unanimous_voters_have_an_exact_interval(place, key):
    """Three people who agree say little of all people: a bootstrap of them would give an interval of no width."""
    files = [vote(place, key, f"p{i}", ["ours", "ours"]) for i in range(3)]
    one = count(key, files)[0]
    assert one.method == EXACT and one.share == 1
    # What R's binom.test(3, 3) gives.
    assert one.interval == pytest.approx((0.2924018, 1.0), abs=1e-6)
    assert f"95 % interval {EXACT}" in as_text([one])
    alone = count(key, files[:1])[0]
    assert alone.method == OF_ONE and alone.interval == pytest.approx((0.1581139, 1.0), abs=1e-6)
    files += [vote(place, key, f"q{i}", ["ours", "ours"]) for i in range(7)]
    assert count(key, files)[0].method == EXACT and count(key, files)[0].interval[0] < 0.75
    files.append(vote(place, key, "r", ["other", "other"]))
    assert count(key, files)[0].method == BOOTSTRAP


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (12, 40)])
def test_exact_intervals_are_those_of_scipy(hits, of):
    from scipy.stats import binomtest

    known = binomtest(hits, of).proportion_ci(method="exact")
    assert exact_interval(hits / of, of) == pytest.approx((known.low, known.high), abs=1e-9)


def test_wrong_studies_and_votes_are_sentences(place, key, capsys):
    sets = {method: gather(place / method) for method in ("ours", "other")}
    with pytest.raises(ValueError, match="exists already"):
        make(sets, place / "study")
    with pytest.raises(ValueError, match="compares two methods"):
        make({"ours": sets["ours"]}, place / "new")
    with pytest.raises(ValueError, match="no clip of the same name"):
        make({"a": sets["ours"][:1] * 2, "b": sets["other"][1:] * 2}, place / "new")
    mine = vote(place, key, "p", ["ours"])
    content = json.loads(mine.read_text("utf-8"))
    for change, sentence in (
        ({"study": "another"}, "votes of another study"),
        ({"format": "x"}, "not a file of"),
        ({"votes": [{}]}, "lacks a part of the votes"),
        ({"participant": None}, "lacks a part of the votes"),
    ):
        mine.write_text(json.dumps(content | change))
        assert main(["count", str(key), str(mine)]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["make", "ours", "other", str(place / "new")]) == 2 and not (place / "new").exists()

"""A blind comparison of two methods by people: one page with random sides, votes as JSON, the result with its interval.

    python -m echomimic_core.evaluation.study make ours=DIR other=DIR OUT [--real DIR]
    python -m echomimic_core.evaluation.study count OUT.key.json VOTES.json ...

OUT gets study.html and videos/ under random names: hand on the folder. OUT.key.json, which says whose video is which,
stays with you.
"""

import argparse
import json
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.durable import Draft, make_folder, write_json, write_text
from .clips import Clip
from .console import Parser
from .sets import gather, match
from .statistics import bootstrap_interval, exact_interval

PAGE = Path(__file__).with_name("study.html")
KEY, VOTES, TIE = "echomimicv2-study", "echomimicv2-votes", "tie"
QUESTIONS = ("Which person looks more real?", "Whose lips fit the voice better?", "Whose hands move more naturally?")
# With fewer participants a bootstrap of them is too narrow.
LEAST_PEOPLE = 10
BOOTSTRAP = "bootstrap over participants"
EXACT = "exact (Clopper-Pearson) over participants"
OF_ONE = "exact (Clopper-Pearson) over the votes of one participant, so it is of that person alone"
PLAYABLE = (".mp4", ".webm", ".mov", ".m4v")


def make(
    methods: dict[str, list[Clip]], folder: Path, questions: tuple[str, ...] = QUESTIONS, real: list[Clip] | None = None
) -> Path:
    """Write the study of two methods' clips, matched by name, into a new folder; returns the file of its key.

    Raises
    ------
    ValueError : not two methods, no clip in both, or a clip that a browser cannot play; the folder is there already.
    """
    folder = Path(folder)
    if len(methods) != 2:
        raise ValueError(f"a study compares two methods, but {len(methods)} were given")
    if folder.exists():
        raise ValueError(f"{folder} exists already: name a folder that does not, so that no votes are mixed up")
    (first, clips), (second, others) = methods.items()
    pairs = [(a, b) for a, b in match(clips, others) if b is not None]
    if not pairs:
        raise ValueError(f"{first} and {second} have no clip of the same name")
    originals = {clip.name: clip for clip in real or []}
    # All of them before the first is copied.
    for clip in [clip for pair in pairs for clip in pair] + [
        originals[a.name] for a, _ in pairs if a.name in originals
    ]:
        if clip.path is None or clip.path.suffix.lower() not in PLAYABLE:
            raise ValueError(f"{clip.path or clip.name} cannot be played by browsers: use {', '.join(PLAYABLE)}")
    make_folder(folder / "videos")
    study, key, trials = secrets.token_hex(8), {}, []
    for a, b in pairs:
        trial = secrets.token_hex(4)
        names = {method: _copied(clip, folder) for method, clip in ((first, a), (second, b))}
        key[trial] = {"clip": a.name, "videos": {name: method for method, name in names.items()}}
        shown = {"id": trial, "videos": sorted(names.values())}
        trials.append(shown | ({"real": _copied(originals[a.name], folder)} if a.name in originals else {}))
    content = json.dumps({"id": study, "questions": list(questions), "trials": trials}).replace("</", "<\\/")
    write_text(folder / "study.html", PAGE.read_text("utf-8").replace("STUDY", content, 1))
    place = folder.with_name(folder.name + ".key.json")
    write_json(place, {"format": KEY, "id": study, "methods": list(methods), "trials": key})
    return place


def _copied(clip: Clip, folder: Path) -> str:
    """The random name under which a clip now is in the study."""
    name = secrets.token_hex(8) + clip.path.suffix.lower()
    with Draft(folder / "videos" / name) as made, open(clip.path, "rb") as source:
        shutil.copyfileobj(source, made.open())
    return name


@dataclass(frozen=True)
class Preference:
    """What people said to one question.

    Attributes
    ----------
    wins : votes for each method. ties : votes for neither. participants : who voted.
    share : of the first method among the votes that decide, nan without any; a tie is half a vote for each.
    interval : 95 % of that share, by the `method` that it names: bootstrap over participants; exact where they are
        fewer than 10 or all say the same.
    p : of the two-sided binomial test of wins, ties left out; votes of one person are not independent, so it flatters.
    """

    question: str
    wins: dict[str, int]
    ties: int
    participants: int
    share: float
    interval: tuple[float, float]
    method: str
    p: float


def count(key: Path, votes: list[Path]) -> list[Preference]:
    """The result of a study, question by question; of one participant's files the longest counts.

    Raises
    ------
    ValueError : a file is none of this study.
    """
    content = _read(key, KEY)
    people: dict[str, dict] = {}
    for path in votes:
        one = _read(path, VOTES)
        if not _is_complete(one):
            raise ValueError(f"{path} lacks a part of the votes: have it saved again on the study's page")
        if one["study"] != content["id"]:
            raise ValueError(f"{path} has votes of another study")
        before = people.get(one["participant"])
        if before is None or len(one["votes"]) > len(before["votes"]):
            people[one["participant"]] = one
    said: dict[str, dict[str, list[float]]] = {}
    for name, one in people.items():
        for vote in one["votes"]:
            videos = content["trials"].get(vote["trial"], {}).get("videos", {})
            for answer in vote["answers"]:
                if answer["choice"] != TIE and answer["choice"] not in videos:
                    raise ValueError(f"the votes of {name} name a video that the study does not have")
                method = videos.get(answer["choice"])
                value = 0.5 if method is None else float(method == content["methods"][0])
                said.setdefault(answer["question"], {}).setdefault(name, []).append(value)
    return [_preference(question, content["methods"], answers) for question, answers in said.items()]


def _preference(question: str, methods: list[str], answers: dict[str, list[float]]) -> Preference:
    from scipy.stats import binomtest

    values = [value for own in answers.values() for value in own]
    first, second = sum(value == 1 for value in values), sum(value == 0 for value in values)
    by_person = [float(np.mean(own)) for own in answers.values()]
    share = float(np.mean(by_person))
    if len(by_person) >= LEAST_PEOPLE and len(set(by_person)) > 1:
        interval, method = bootstrap_interval(by_person), BOOTSTRAP
    elif len(by_person) > 1:
        interval, method = exact_interval(share, len(by_person)), EXACT
    else:
        interval, method = exact_interval(share, len(values)), OF_ONE
    p = float(binomtest(first, first + second).pvalue) if first + second else float("nan")
    ties = len(values) - first - second
    wins = dict(zip(methods, (first, second), strict=True))
    return Preference(question, wins, ties, len(answers), share, interval, method, p)


def _is_complete(votes: dict) -> bool:
    try:
        parts = [votes["study"], votes["participant"], *(vote["trial"] for vote in votes["votes"])]
        parts += [
            answer[part] for vote in votes["votes"] for answer in vote["answers"] for part in ("question", "choice")
        ]
    except (KeyError, TypeError):
        return False
    return all(isinstance(part, str) for part in parts)


def _read(path: Path, kind: str) -> dict:
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise ValueError(f"{path} is not a file of the format {kind}")
    return content


def as_text(result: list[Preference]) -> str:
    """The result by line."""
    lines = []
    for one in result:
        first = next(iter(one.wins))
        votes = ", ".join(f"{method} {wins}" for method, wins in one.wins.items())
        interval = f"[{one.interval[0]:.0%}, {one.interval[1]:.0%}]"
        people = f"{one.participants} participants" if one.participants > 1 else "1 participant"
        lines.append(
            f"{one.question} {first} preferred in {one.share:.0%} {interval}; {votes}, no difference {one.ties}"
        )
        lines.append(f"  {people}; 95 % interval {one.method}; binomial test without ties p = {one.p:.3g}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command; 2 for wrong arguments."""
    parser = Parser(
        prog="python -m echomimic_core.evaluation.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the page")
    making.add_argument("methods", nargs=2, metavar="NAME=DIR", help="the two methods")
    making.add_argument("folder", type=Path, metavar="OUT", help="a new folder")
    making.add_argument("--real", help="real clips, shown in the middle as the reference")
    making.add_argument("--question", action="append", help="instead of the three questions; may be repeated")
    counting = commands.add_parser("count", help="count votes")
    counting.add_argument("key", type=Path)
    counting.add_argument("votes", type=Path, nargs="+")
    try:
        arguments = parser.parse_args(argv)
        if arguments.command == "count":
            print(as_text(count(arguments.key, arguments.votes)))
            return 0
        named = dict(pair.split("=", 1) for pair in arguments.methods if "=" in pair)
        if len(named) != 2:
            raise ValueError("give two different methods as NAME=DIR NAME=DIR")
        real = gather(arguments.real) if arguments.real else None
        questions = tuple(arguments.question or QUESTIONS)
        key = make({name: gather(path) for name, path in named.items()}, arguments.folder, questions, real)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.folder / 'study.html'}: hand on this folder. Keep {key}, which says whose video is which.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

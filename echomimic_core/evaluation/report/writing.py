"""Reports as files: a page or Markdown, with the numbers next to it for spreadsheets, papers and programs."""

from collections.abc import Iterable
from pathlib import Path

from ...files.durable import Draft, write_bytes
from ..evaluate import Evaluation
from ..methods import Comparison
from . import curves, data
from .markdown import markdown
from .page import page
from .setup import Setup

SUFFIXES = (".html", ".md")
# What is written next to a report, under its name.
BESIDE = (".csv", ".tex", ".json", ".schema.json")


def save(
    evaluation: Evaluation | Comparison, path: str | Path, setup: Setup | None = None, paper: bool = False
) -> list[Path]:
    """Write a report as .html or .md, and next to it the numbers as .csv, .tex and .json with its schema.

    The page is one file that links the videos where they are; Markdown has its curves as .png next to it.

    Returns
    -------
    What was written, the report first.

    Raises
    ------
    ValueError : another extension.
    """
    path, setup = Path(path), setup or Setup()
    comparison = evaluation if isinstance(evaluation, Comparison) else Comparison({"": evaluation})
    check_suffix(path)
    pictures: dict[Path, bytes] = {}
    if path.suffix.lower() == ".html":
        text = page(comparison, setup, path.parent, paper)
    else:
        links = {}
        for method, evaluation in comparison.methods.items():
            for clip in evaluation.clips:
                if clip.curves:
                    picture = path.with_name(f"{path.stem}_{len(pictures):03d}.png")
                    pictures[picture] = curves.png(curves.draw(clip))
                    links[method, clip.name] = picture.name
        text = markdown(comparison, setup, links, paper)
    only = next(iter(comparison.methods.values())) if list(comparison.methods) == [""] else comparison
    numbers = (
        data.as_csv(comparison),
        data.as_latex(comparison),
        data.as_json(only, setup),
        data.SCHEMA.read_text("utf-8"),
    )
    beside = {path.with_suffix(suffix): said.encode() for suffix, said in zip(BESIDE, numbers, strict=True)}
    files = {**pictures, **beside, path: text.encode()}
    for file, content in files.items():
        write_bytes(file, content)
    return [path, *(file for file in files if file != path)]


def check_suffix(path: Path) -> None:
    """ValueError for a report of another kind."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a report is written as .html or .md, not as {path.name!r}")


def check_places(option: str, path: str | Path, inputs: Iterable[Path] = (), beside: bool = False) -> None:
    """Whether a file, and those that a report has beside it, can be written, before minutes are spent on them.

    Parameters
    ----------
    inputs : files that are read and must stay. beside : `path` is a report.

    Raises
    ------
    ValueError : the folder is missing or read-only, a folder has the file's name, or it is one of the inputs.
    """
    path, inputs = Path(path), {Path(file).resolve() for file in inputs}
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path} cannot be written: there is no folder {path.parent}: create it first")
    for file in (path, *(path.with_suffix(suffix) for suffix in (BESIDE if beside else ()))):
        named = f"{option} {path}" if file == path else f"{option} {path} also writes {file.name}, but that"
        if file.is_dir():
            raise ValueError(f"{named} is a folder: choose another name")
        if file.resolve() in inputs:
            raise ValueError(f"{named} is one of the files to evaluate: choose another name")
        _probe(file, named)


def _probe(file: Path, named: str) -> None:
    probe = Draft(file)
    try:
        probe.open()
    except OSError as error:
        said = error.strerror or error
        raise ValueError(f"{named} cannot be written: {said}. Choose a folder you can write to") from error
    finally:
        probe.drop()

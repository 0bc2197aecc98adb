"""Reports as files: a page or Markdown, with the numbers next to it for spreadsheets, papers and programs."""

from pathlib import Path

from ...files.durable import Draft, write_bytes
from ..evaluate import Evaluation
from ..methods import Comparison
from . import curves, data
from .markdown import markdown
from .page import page
from .setup import Setup

SUFFIXES = (".html", ".md")


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
    files = {
        **pictures,
        path.with_suffix(".csv"): data.as_csv(comparison).encode(),
        path.with_suffix(".tex"): data.as_latex(comparison).encode(),
        path.with_suffix(".json"): data.as_json(only, setup).encode(),
        path.with_suffix(".schema.json"): data.SCHEMA.read_bytes(),
        path: text.encode(),
    }
    for file, content in files.items():
        write_bytes(file, content)
    return [path, *(file for file in files if file != path)]


def check_suffix(path: Path) -> None:
    """ValueError for a report of another kind."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a report is written as .html or .md, not as {path.name!r}")


def check_place(path: str | Path, option: str) -> None:
    """Whether a file can be written there, before minutes are spent on what is to stand in it.

    Raises
    ------
    ValueError : the folder is missing or read-only, or a folder has the file's name.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder: give a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path} cannot be written: there is no folder {path.parent}: create it first")
    probe = Draft(path)
    try:
        probe.open()
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written: {error.strerror or error}. Choose a folder you can write to"
        ) from error
    finally:
        probe.drop()

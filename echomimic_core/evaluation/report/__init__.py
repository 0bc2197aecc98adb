"""What an evaluation looks like: as text, for programs, for a paper, as a page."""

from .data import as_csv, as_json, as_latex
from .setup import Setup, describe
from .text import as_text, compared, failures
from .writing import check_places, check_suffix, save

__all__ = [
    "Setup",
    "as_csv",
    "as_json",
    "as_latex",
    "as_text",
    "check_places",
    "check_suffix",
    "compared",
    "describe",
    "failures",
    "save",
]

"""Fetch the published weights: python -m echomimic_core.files.download [standard|accelerated|all] [--to FOLDER]."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from . import hub
from .checkpoints import files_below
from .durable import WriteError
from .published import ECHOMIMIC_FOLDER, VAE, VAE_FOLDER, WHISPER, Published, missing_networks, readable, whisper_among
from .tensor_file import CheckpointError
from .transfer import DownloadError

CHOICES = {"standard": ("standard",), "accelerated": ("accelerated",), "all": ("standard", "accelerated")}


def missing(
    variants: Iterable[str], folders: dict[str, list[str | Path]], encoder_folders: Iterable[str | Path] = ()
) -> list[Published]:
    """What these variants need and is not in the folders, each file once.

    folders : of each kind, those that are searched. encoder_folders : where else a Whisper encoder may lie.
    """
    from .vae import NoVAEError, find_vae

    paths = list(files_below(folders[ECHOMIMIC_FOLDER]))
    found = [file for variant in variants for file in missing_networks(variant, paths)]
    if whisper_among([*paths, *files_below(encoder_folders)]) is None:
        found.append(WHISPER)
    try:
        find_vae(folders[VAE_FOLDER])
    except NoVAEError:
        found.append(VAE)
    except CheckpointError:  # It is there and damaged: whoever uses it says what to do.
        pass
    return list(dict.fromkeys(found))


def fetch_all(
    files: list[Published],
    folders: dict[str, Path],
    tell: Callable[[str], None],
    progress: Callable[[int, int], None],
    check: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Fetch files into their folders; the paths. Names, sizes, folders and licences are shown before the first byte.

    tell : shows a text. progress : called with (bytes there, bytes in all). check : may raise to stop.

    Raises
    ------
    DownloadError, WriteError : see `hub.fetch`. What came whole before stays.
    """
    announced = [hub.announce(file, folders[file.kind], check) for file in files]
    hub.check_space(announced)
    total = sum(file.size for file in announced)
    tell(f"Downloading {readable(total)}:\n" + "\n".join(file.described() for file in announced))
    paths, before = [], 0
    for number, file in enumerate(announced, 1):

        def one(done: int, size: int, number=number, file=file, before=before) -> None:
            progress(before + done, total)
            where = f"{readable(before + done)} of {readable(total)}"
            tell(f"{number} of {len(announced)}: {file.file.name}, {done / size:.0%} ({where} in all)")

        paths.append(hub.fetch(file, one, check))
        before += file.size
    return paths


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 where something could not be fetched."""
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.files.download", description=__doc__)
    parser.add_argument("model", nargs="?", choices=CHOICES, default="accelerated", help="default: accelerated")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="ComfyUI's models folder (default: the one above)")
    given = parser.parse_args(arguments)
    models = given.to or default_models()
    folders = {kind: models / kind for kind in (ECHOMIMIC_FOLDER, VAE_FOLDER)}
    wanted = missing(CHOICES[given.model], {kind: [folder] for kind, folder in folders.items()})
    if not wanted:
        print(f"Everything is there already, in {models}.")
        return 0
    line = _Line()
    try:
        paths = fetch_all(wanted, folders, line.tell, lambda done, total: None)
    except (DownloadError, WriteError) as error:
        line.end()
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        line.end()
        print("Stopped. Run the same command again to resume.", file=sys.stderr)
        return 130
    line.end()
    for path in paths:
        print(path)
    return 0


def default_models() -> Path:
    """The models folder of the ComfyUI whose custom_nodes this pack is in; else `models` here."""
    above = Path(__file__).resolve().parents[4] / "models"
    return above if above.is_dir() else Path("models")


class _Line:
    """One line of a terminal that changes; what has several lines stays."""

    def __init__(self):
        self._shown = ""

    def tell(self, text: str) -> None:
        if "\n" in text:
            print(text)
        elif text != self._shown:
            print("\r" + text.ljust(len(self._shown)), end="", flush=True)
            self._shown = text

    def end(self) -> None:
        if self._shown:
            print()

"""What became of the jobs of a list, kept in the folder of the videos from run to run."""

import json

from ..files.addresses import Place, save_text

JOURNAL = "journal.jsonl"


class Journal:
    """A file with a JSON object a line for each video: its inputs, the seconds it took, or why it failed.

    Parameters
    ----------
    folder : of the videos; None keeps no journal. again : outputs that this run is to make; what is known of others
        stays.
    """

    def __init__(self, folder: Place | None, again: set[str]):
        self.path = None if folder is None else folder / JOURNAL
        self.entries = [] if folder is None else _known(self.path, again)

    def found(self, output: Place | str, **what) -> None:
        """A video is there: where a run was killed before it could write that down, this does."""
        known = [entry for entry in self.entries if entry["output"] == str(output)]
        if not known or "failed" in known[-1]:
            self.entries = [entry for entry in self.entries if entry not in known]
            self.note(output, **what)

    def note(self, output: Place | str, **what) -> None:
        """Write down what became of a video."""
        self.entries.append({"output": str(output), **what})
        if self.path is not None:
            text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.entries)
            save_text(self.path, text)


def _known(path: Place, again: set[str]) -> list[dict]:
    try:
        entries = [json.loads(line) for line in path.read_bytes().decode("utf-8").splitlines()]
        return [entry for entry in entries if entry["output"] not in again]
    except (OSError, ValueError, KeyError, TypeError):
        return []

"""What is this file? python -m echomimic_core.files FILE [FILE ...] [--json]."""

import argparse
import json
import sys

from .about import OTHER, about


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 if a file is nothing that this pack reads."""
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.files", description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of sentences")
    given = parser.parse_args(arguments)
    found = {path: about(path) for path in given.files}
    if given.json:
        print(json.dumps({path: what.as_json() for path, what in found.items()}))
    else:
        for path, what in found.items():
            inside = f" with {', '.join(what.networks)}" if what.networks else ""
            said = "".join(f"; {key}: {value}" for key, value in what.about.items())
            print(what.problem or f"{path}: {what.kind}{inside}{said}")
    return int(any(what.kind == OTHER for what in found.values()))


if __name__ == "__main__":
    sys.exit(main())

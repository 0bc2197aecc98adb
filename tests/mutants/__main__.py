"""`python -m tests.mutants [--third] [--only WORDS ...] [--workers N]`: does any test notice a mistake in the method?

Every fault of the folder faults is planted in a copy of the tree, and the tests it names must fail. Survivors are
listed, and the exit code is then 1: write the test that is missing.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.engine import DIES, FaultError, Verdict, run_faults
from tests.mutants.faults import FAULTS, third


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--third", action="store_true", help="only the third of the faults that CI plants")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORDS", help="only faults with these in their names")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (%(default)s)")
    parser.add_argument("--json", type=Path, help="a file for the verdicts")
    given = parser.parse_args(arguments)
    faults = third() if given.third else FAULTS
    faults = [fault for fault in faults if not given.only or any(words in fault.name for words in given.only)]
    started = time.monotonic()

    def tell(verdict: Verdict) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {verdict.outcome:9} {verdict.name}", flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            verdicts = run_faults(faults, Path(folder), given.workers, tell)
    except FaultError as error:
        print(error, file=sys.stderr)
        return 1
    if given.json:
        given.json.write_text(json.dumps([dataclasses.asdict(verdict) for verdict in verdicts]), encoding="utf-8")
    return summary(verdicts)


def summary(verdicts: list[Verdict]) -> int:
    """Print what did not die, and the exit code."""
    alive = [verdict for verdict in verdicts if verdict.outcome != DIES]
    print(f"{len(verdicts) - len(alive)} of {len(verdicts)} faults die")
    for verdict in alive:
        print(f"{verdict.outcome}: {verdict.name}\n    {verdict.why}")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())

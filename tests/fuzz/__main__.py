"""`python -m tests.fuzz --minutes 30 [--seed N] [--kinds pickle video ...]`: fuzz deeply, and write what fails.

Every kind of input has its turn, again and again with another seed, until the time is up. What fails is made as small
as can be and written to --out, with the reason beside it; the exit code is then 1.
"""

import argparse
import hashlib
import sys
import time
from itertools import count
from pathlib import Path

from tests.fuzz.child import Opener
from tests.fuzz.engine import Failed, run
from tests.fuzz.inputs import INPUTS
from tests.fuzz.readers import READERS

EXAMPLES = 300
ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0, help="the first seed; a run of the same seed is the same run")
    parser.add_argument("--kinds", nargs="+", choices=sorted(INPUTS), default=sorted(INPUTS))
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="inputs of a kind in one turn")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "fuzz", help="folder for what fails")
    options = parser.parse_args(arguments)
    end, failed, total = time.monotonic() + 60 * options.minutes, 0, 0
    with Opener() as opener:
        for turn in count():
            for kind in options.kinds:
                if time.monotonic() > end:
                    print(f"{total} inputs, {failed} failures")
                    return 1 if failed else 0
                seed = options.seed * 1_000_003 + turn
                counts, found = run(kind, opener, options.examples, seed)
                total += sum(counts.values())
                print(f"{kind}, seed {seed}: {counts['opened']} opened, {counts['said']} sentences", flush=True)
                if found is not None:
                    failed += 1
                    print(f"FAILED {write(found, options.out)}: {found.why}", flush=True)
    return 0


def write(found: Failed, out: Path) -> Path:
    """The input that failed as a file of its own, and the reason as text beside it."""
    name = f"{found.kind}-{hashlib.sha256(found.data).hexdigest()[:8]}"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}{Path(READERS[found.kind][1]).suffix}"
    path.write_bytes(found.data)
    path.with_suffix(".txt").write_text(found.why + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())

"""python -m echomimic_core.evaluation; see `command`.

Imports nothing heavy: every worker process imports this file first, before it watches whether its parent is alive.
"""

import sys


def main(argv: list[str] | None = None) -> int:
    """The command; 0 if something was computed, 1 if nothing, 2 for wrong arguments, 130 if stopped."""
    try:
        from .command import main
    except KeyboardInterrupt:
        # What it needs takes seconds to load.
        print("stopped before it began", file=sys.stderr)
        return 130
    return main(argv)


if __name__ == "__main__":
    sys.exit(main())

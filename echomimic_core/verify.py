"""Compare this port with numbers of the original: python -m echomimic_core.verify CASES."""

import sys

from .parity.__main__ import main

if __name__ == "__main__":
    sys.exit(main())

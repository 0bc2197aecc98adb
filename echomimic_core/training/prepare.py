"""From videos to prepared clips: python -m echomimic_core.training.prepare VIDEOS OUT."""

import sys

from .data.prepare import main

if __name__ == "__main__":
    sys.exit(main())

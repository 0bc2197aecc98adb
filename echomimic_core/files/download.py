"""Fetch the published weights: python -m echomimic_core.files.download [standard|accelerated|all] [--to FOLDER]."""

import sys

from .fetch import main

if __name__ == "__main__":
    sys.exit(main())

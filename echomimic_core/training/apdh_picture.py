"""Draw a run's APDH schedule: python -m echomimic_core.training.apdh_picture OUT.png CONFIG."""

import sys

from .run.apdh_picture import main

if __name__ == "__main__":
    sys.exit(main())

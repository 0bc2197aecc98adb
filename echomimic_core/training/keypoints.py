"""Train the keypoint network of L_pose: python -m echomimic_core.training.keypoints OUT."""

import sys

from .loss.keypoints import main

if __name__ == "__main__":
    sys.exit(main())

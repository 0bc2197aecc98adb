"""Audio-Pose Dynamic Harmonization: one definition, used by sampling and by training."""

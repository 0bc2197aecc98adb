"""A training run: steps, phases, checkpoints, validation, logs."""

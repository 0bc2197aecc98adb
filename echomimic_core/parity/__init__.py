"""The original's numbers, compared with ours."""

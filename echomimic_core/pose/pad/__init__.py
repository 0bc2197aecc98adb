"""Poses placed by hand: a small JSON value of parameters becomes a pose, a clip, or corrections to a clip."""

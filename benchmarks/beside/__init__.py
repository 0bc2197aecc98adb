"""Beside the original's own code: the same guided window on both sides, in pairs, each in a process of its own."""

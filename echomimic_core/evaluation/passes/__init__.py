"""Passes over the clips' frames: what to read, in how many processes, and what is cached."""

"""Metrics, one file a family, and their registry."""

"""Nodes that generate the clip."""

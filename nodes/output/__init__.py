"""Nodes for the finished video."""

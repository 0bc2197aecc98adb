"""Nodes that load, save and tune models."""

"""Nodes for hand poses."""

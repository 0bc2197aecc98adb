"""Nodes for the picture and the voice."""

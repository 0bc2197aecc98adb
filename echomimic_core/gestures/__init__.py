"""Hands from a voice: its accents and phrases, a library of strokes, and a plan that puts strokes on accents."""

"""Workers: something slow to load, loaded once in each, and tasks that they take as they become free.

A task that fails is told apart from the others, with its sentence. `here` works in this process, `processes` in others
of this machine, `on_ray` on the machines of a Ray cluster.
"""

from .here import here
from .outcome import OUT_OF_MEMORY, Done, Failed, Outcome, Start, sentence

__all__ = ["OUT_OF_MEMORY", "Done", "Failed", "Outcome", "Start", "here", "sentence"]

"""Mistakes in the method, and the tests that notice them. A bug that was found once gets a line here as well.

Texts, not line numbers: a fault whose text is gone fails with a sentence, and is then written anew.
"""

from tests.mutants.engine import Fault
from tests.mutants.faults.learning import LEARNING
from tests.mutants.faults.recipe import RECIPE
from tests.mutants.faults.running import RUNNING
from tests.mutants.faults.samples import SAMPLES_FAULTS

FAULTS = [*SAMPLES_FAULTS, *LEARNING, *RUNNING, *RECIPE]


def third() -> list[Fault]:
    """The faults that CI plants: every third one."""
    return FAULTS[::3]

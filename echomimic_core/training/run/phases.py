"""Which phases of APDH a run goes through, logged before it begins."""

import logging

from ..model.networks import AUDIO
from ..settings import Settings

logger = logging.getLogger(__name__)


def tell_phases(settings: Settings, step: int = 0) -> None:
    """Log the phases that a run passes from `step` on, and warn where audio layers are to learn but never listen."""
    begin, first, last = 0, settings.apdh.start_step + step, settings.apdh.start_step + settings.train.steps - 1
    passed = []
    for number, phase in enumerate(settings.apdh.phases, 1):
        endless = number == len(settings.apdh.phases)
        if begin <= last and (endless or begin + phase.steps > first):
            passed.append(phase)
            low, high = phase.pose_dropout
            logger.info(
                "APDH from step %d on: %s; %s drawn, no pose in %g to %g %% of the clips, audio %s",
                max(begin, first) - settings.apdh.start_step,
                phase.name,
                ", ".join(phase.keypoints) or "nothing",
                100 * low,
                100 * high,
                "off" if phase.audio == "off" else f"reaches the {phase.audio}",
            )
        begin += phase.steps
    if AUDIO in settings.open_parts and passed and all(phase.audio == "off" for phase in passed):
        logger.warning(
            "audio attention is to be trained, but audio is off in every step of this run, so it will learn nothing: "
            "set apdh.start_step to where audio begins (20000 in the default phases), give apdh.phases with audio in "
            "them, or train for more steps"
        )

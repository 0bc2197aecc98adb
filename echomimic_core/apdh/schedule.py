"""APDH over a training run (EchoMimicV2, §3.2): for any step, what is kept, masked and dropped.

Pose sampling takes keypoints away (initial: all are drawn; iterative: the whole pose is dropped ever more often;
spatial: lips, then head, then body go, hands stay) while audio diffusion lets audio attention reach the lips, then the
head, then the whole body. How long each phase lasts was never published: the numbers are configuration.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..choices import KEYPOINT_GROUPS, REACHES
from ..config import HEAD_POINTS

AUDIO_REACHES = ("off", *reversed(REACHES))


@dataclass(frozen=True)
class APDHPhase:
    """One phase of a training run.

    Attributes
    ----------
    name : for the log and the picture.
    steps : optimizer steps it lasts; the last phase of a schedule lasts for the rest.
    keypoints : groups drawn into the pose map.
    pose_dropout : probability at the start and at the end of the phase that a clip gets no pose at all.
    audio : "off", or how far audio attention reaches: "lips", "head", "body".
    """

    name: str
    steps: int
    keypoints: tuple[str, ...] = KEYPOINT_GROUPS
    pose_dropout: tuple[float, float] = (0.0, 0.0)
    audio: str = "off"

    def __post_init__(self):
        unknown = [group for group in self.keypoints if group not in KEYPOINT_GROUPS]
        if unknown:
            raise ValueError(
                f"APDH phase {self.name!r}: keypoint group {unknown[0]!r} is unknown: "
                f"choose from {', '.join(KEYPOINT_GROUPS)}"
            )
        if self.audio not in AUDIO_REACHES:
            raise ValueError(
                f"APDH phase {self.name!r}: audio {self.audio!r} is unknown: choose from {', '.join(AUDIO_REACHES)}"
            )
        if self.steps < 1:
            raise ValueError(f"APDH phase {self.name!r} lasts {self.steps} steps, but at least 1 is needed")
        if len(self.pose_dropout) != 2 or not all(0.0 <= share <= 1.0 for share in self.pose_dropout):
            raise ValueError(
                f"APDH phase {self.name!r}: pose_dropout is {self.pose_dropout}, but two fractions in 0..1 are needed"
            )


@dataclass(frozen=True)
class APDHState:
    """What APDH does at one step: groups drawn and dropped, probability of no pose, and reach of audio."""

    phase: str
    keypoints: tuple[str, ...]
    dropped: tuple[str, ...]
    pose_dropout: float
    audio: str


# 10,000 steps a phase is what the one public reimplementation uses. The dropout of 20 % is kept once it is reached:
# without it the network would come to rely on the pose again.
HELD = (0.2, 0.2)
DEFAULT_PHASES = (
    APDHPhase("initial", 10_000),
    APDHPhase("iterative", 10_000, pose_dropout=(0.0, 0.2)),
    APDHPhase("spatial: lips", 10_000, ("hands", "body", "face"), HELD, "lips"),
    APDHPhase("spatial: head", 10_000, ("hands", "body"), HELD, "head"),
    APDHPhase("spatial: body", 10_000, ("hands",), HELD, "body"),
)


@dataclass(frozen=True)
class APDHSchedule:
    """The phases of a run, one after the other."""

    phases: tuple[APDHPhase, ...] = DEFAULT_PHASES

    def __post_init__(self):
        if not self.phases:
            raise ValueError("the APDH schedule has no phases")

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> APDHState:
        """State at an optimizer step, counted from 0; past the end that of the last phase's end."""
        if step < 0:
            raise ValueError(f"step is {step}, but steps count from 0")
        begin = 0
        for phase in self.phases:
            if step < begin + phase.steps:
                break
            begin += phase.steps
        done = min(1.0, (step - begin) / max(1, phase.steps - 1)) if step < self.steps else 1.0
        low, high = phase.pose_dropout
        return APDHState(
            phase=phase.name,
            keypoints=phase.keypoints,
            dropped=tuple(group for group in KEYPOINT_GROUPS if group not in phase.keypoints),
            pose_dropout=low + (high - low) * done,
            audio=phase.audio,
        )


def keep_groups(pose, groups: tuple[str, ...]):
    """A `HandPose` to be drawn with `groups`: without the face, the body loses its head points too."""
    if "face" in groups or pose.body_scores is None:
        return pose
    scores = np.array(pose.body_scores, copy=True)
    scores[:, HEAD_POINTS] = 0.0
    return replace(pose, body_scores=scores)

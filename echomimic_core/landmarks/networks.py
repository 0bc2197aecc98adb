"""The six networks: what they are, where they lie, and how they are held."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ..runtime import TorchOperations
from .graph import Graph, load_graph

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Network:
    """Where a network is in the published wheel, and what it takes black and white for."""

    source: str
    values: tuple[float, float]


NETWORKS = {
    "palm": Network("palm_detection/palm_detection_full.tflite", (0.0, 1.0)),
    "hand": Network("hand_landmark/hand_landmark_full.tflite", (0.0, 1.0)),
    "body_detector": Network("pose_detection/pose_detection.tflite", (-1.0, 1.0)),
    "body": Network("pose_landmark/pose_landmark_full.tflite", (0.0, 1.0)),
    "face_detector": Network("face_detection/face_detection_short_range.tflite", (-1.0, 1.0)),
    "face": Network("face_landmark/face_landmark.tflite", (0.0, 1.0)),
}


class Networks(torch.nn.ModuleDict):
    """Several of the six, by name, on one device."""

    # Not `device`: whoever manages their memory sets that name on the module itself.
    def where(self) -> torch.device:
        """The device that they are on."""
        return next(self.parameters()).device


def load_networks(names=tuple(NETWORKS), operations=TorchOperations) -> Networks:
    """The networks of these names, on the processor, their layers built from `operations`."""
    return Networks({name: load_graph(WEIGHTS / f"{name}.safetensors", operations) for name in names})


@lru_cache(maxsize=1)
def shared_networks() -> Networks:
    """All six on the processor, loaded once a process, for callers without a device of their own."""
    return load_networks()


__all__ = ["NETWORKS", "WEIGHTS", "Graph", "Network", "Networks", "load_networks", "shared_networks"]

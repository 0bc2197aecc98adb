"""A node pack for the tests: its nodes give any value to any input, as other people's nodes do."""

import json
import sys
from fractions import Fraction

import numpy as np
import torch
from server import PromptServer


def without_known_digests(prompt: dict) -> dict:
    """The tests' hub serves small files of its own under the names of the published ones."""
    for name, module in list(sys.modules.items()):
        if name.endswith("echomimic_core.files.published"):
            module.SHA256.clear()
    return prompt


PromptServer.instance.add_on_prompt_handler(without_known_digests)


class Anything(str):
    """A type that fits every input."""

    def __ne__(self, other):
        return False


PICTURE = torch.rand(1, 64, 48, 3)
SOUND = torch.rand(1, 2, 8000) - 0.5


VALUES = {
    "none": None,
    "2.0": 2.0,
    "2.5": 2.5,
    "NumPy 2": np.int64(2),
    "tensor 2": torch.tensor(2),
    "tensor of one 2": torch.tensor([2.0]),
    "fraction 2": Fraction(2),
    "text 2": " 2 ",
    "text 24.0": "24.0",
    "text": "many",
    "nan": float("nan"),
    "infinity": np.float32("inf"),
    "complex": 2 + 1j,
    "-1": -1,
    "list": [2],
    "text false": "false",
    "waving": "waving",
    "nonsense": "nonsense",
    "gesture.json": "gesture.json",
    "picture": PICTURE,
    "one picture": PICTURE[0],
    "NumPy picture": PICTURE.numpy().astype(np.float64),
    "bytes": (PICTURE * 255).byte(),
    "half": PICTURE.half(),
    "grey": PICTURE[..., :1],
    "transparent": torch.rand(1, 64, 48, 4),
    "no pictures": PICTURE[:0],
    "two channels": PICTURE[..., :2],
    "broken picture": torch.full((2, 64, 48, 3), float("nan")),
    "complex picture": PICTURE.to(torch.complex64),
    "sparse picture": PICTURE.to_sparse(),
    "mask": torch.rand(64, 48),
    "broken mask": torch.full((1, 64, 48), float("inf")),
    "sound": {"waveform": SOUND, "sample_rate": 16000},
    "rate 16000.0": {"waveform": SOUND, "sample_rate": 16000.0},
    "NumPy rate": {"waveform": SOUND.numpy(), "sample_rate": np.int64(16000)},
    "tensor rate": {"waveform": SOUND[0], "sample_rate": torch.tensor(16000)},
    "text rate": {"waveform": SOUND, "sample_rate": "16000"},
    "no rate": {"waveform": SOUND, "sample_rate": None},
    "rate too low": {"waveform": SOUND, "sample_rate": 8},
    "sound without samples": {"waveform": SOUND[..., :0], "sample_rate": 16000},
    "broken sound": {"waveform": SOUND * float("nan"), "sample_rate": 16000},
    "two sounds": {"waveform": SOUND.repeat(2, 1, 1), "sample_rate": 16000},
    "complex sound": {"waveform": SOUND.to(torch.complex64), "sample_rate": 16000},
    "65 channels": {"waveform": SOUND[:, :1].repeat(1, 65, 1), "sample_rate": 16000},
    "list of samples": {"waveform": [0.0, 0.5], "sample_rate": 16000},
    "latents without samples": {"noise": SOUND},
    "latents with a strange rate": {"samples": torch.zeros(2, 4, 8, 8), "fps": float("nan")},
}


class StrangeValue:
    RETURN_TYPES = (Anything("*"),)
    FUNCTION = "give"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {"default": ""})}}

    def give(self, name):
        return (VALUES[name],)


class StrangeJson(StrangeValue):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    def give(self, text):
        return (json.loads(text),)


NODE_CLASS_MAPPINGS = {"StrangeValue": StrangeValue, "StrangeJson": StrangeJson}

"""What the templates are made of: nodes and graphs as they are drawn, and the nodes that most of them have."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from echomimic_core.files.published import VAE, WHISPER

PREFIX = "EchoMimicV2"
NOTES = Path(__file__).parent / "notes"
PICTURE, VOICE, VIDEO = "echomimicv2_example.png", "echomimicv2_example.flac", "echomimicv2_example.mp4"
SCENE, VOICES = "echomimicv2_scene.png", "echomimicv2_voices"


@dataclass(frozen=True)
class Node:
    """A node: its id in the graph, its type, its column, and inputs as in ComfyUI's API form.

    room : pixels that its pictures or videos take below the widgets. width : of the node, 0 is as wide as the others.
    """

    id: str
    kind: str
    column: int
    inputs: dict = field(default_factory=dict)
    room: int = 0
    width: int = 0
    models: tuple[dict, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A template: its name, its nodes in the order in which they stand in their columns, and how long its thumbnail is.

    seconds : of the voice from which the thumbnail is drawn; 0 is all of it.
    """

    name: str
    nodes: tuple[Node, ...]
    seconds: float = 1.5

    @property
    def number(self) -> str:
        return self.name.removeprefix(f"{PREFIX}_").partition("_")[0]

    def note(self, language: str) -> str:
        """What the template tells in "en" or "zh": its own words, then those on the first run."""
        parts = [NOTES / f"{part}.{language}.md" for part in (self.number, "first_run")]
        return "\n".join(part.read_text(encoding="utf-8") for part in parts)


def model_link(file) -> dict:
    return {"name": file.name, "url": file.link, "directory": file.kind}


LOADER = Node(
    "1",
    "EchoMimicV2Loader",
    0,
    {"model": "accelerated", "weight_dtype": "auto", "audio_encoder": "auto", "download_missing": False},
    room=160,  # What is missing or comes; the last of its column, since Nodes 2.0 draws it as long as it is
    models=(model_link(WHISPER), model_link(VAE)),
)
IMAGE = Node("3", "LoadImage", 0, {"image": PICTURE}, room=260)
SOUND = Node("4", "LoadAudio", 0, {"audio": VOICE}, room=60)
AUDIO = Node(
    "7",
    "EchoMimicV2AudioEmbeds",
    1,
    {
        "audio_encoder": ["1", 2],
        "audio": ["4", 0],
        "fps": 24.0,
        "start": 0.0,
        "duration": 0.0,
        "normalize_loudness": False,
        "strength": 1.0,
    },
)
HANDS = Node(
    "5",
    "EchoMimicV2VoiceGestures",
    1,
    {
        "audio": ["7", 1],
        "frames": 0,
        "fps": 24.0,
        "energy": 1.0,
        "variety": 0.5,
        "rest": 0.5,
        "keep": "hands and arms",
        "seed": 0,
        "cues": "",
    },
    room=240,
)
ALIGN = Node(
    "33",
    "EchoMimicV2AlignPose",
    2,
    {
        "image": ["3", 0],
        "pose": ["5", 0],
        "width": 768,
        "height": 768,
        "framing": "show hands",
        "fit_hands": True,
        "fill": "edge",
        "overlay_frames": 6,
        "detector": "built-in",
    },
    room=360,
)
REFERENCE = Node(
    "6",
    "EchoMimicV2ReferenceEncode",
    3,
    {"reference_net": ["1", 1], "vae": ["1", 3], "image": ["33", 0], "width": 0, "height": 0, "fit": "crop"},
)
CLIP = {"frames": 0, "pose_fit": "loop", "context_frames": 12, "context_overlap": 3, "loop": False}
SAMPLER = Node(
    "8",
    "EchoMimicV2Sampler",
    3,
    {
        "model": ["1", 0],
        "reference": ["6", 0],
        "audio_embeds": ["7", 0],
        "pose": ["33", 1],
        "seed": 420,
        "steps": 0,
        "cfg": 0.0,
        "sampler_name": "original",
        **CLIP,
    },
    room=260,
)
DECODE = Node(
    "9",
    "EchoMimicV2DecodeToVideo",
    4,
    {"samples": ["8", 0], "vae": ["1", 3], "audio": ["7", 1], "fps": 0.0, "frames_per_batch": 4},
    room=240,
)
SAVE = Node(
    "10",
    "SaveVideo",
    4,
    {"video": ["9", 0], "filename_prefix": "video/EchoMimicV2", "format": "mp4", "codec": "h264"},
    room=340,
)


def changed(node: Node, **inputs) -> Node:
    return replace(node, inputs={**node.inputs, **inputs})

"""The example workflows as they are drawn: which nodes, where, and how they are wired.

`make_workflows.py` turns them into the files in workflows/ with ComfyUI's own page, so that these are saved the way
the page saves. Change a graph here, then run that script.
"""

from dataclasses import dataclass, field

VAE = {
    "name": "vae-ft-mse-840000-ema-pruned.safetensors",
    "url": "https://huggingface.co/stabilityai/sd-vae-ft-mse-original/resolve/main/"
    "vae-ft-mse-840000-ema-pruned.safetensors",
    "directory": "vae",
}


@dataclass(frozen=True)
class Node:
    """A node: its id in the graph, its type, the top left corner, and inputs as in ComfyUI's API form."""

    id: str
    kind: str
    place: tuple[int, int]
    inputs: dict = field(default_factory=dict)
    models: tuple[dict, ...] = ()


@dataclass(frozen=True)
class Graph:
    name: str
    note: str
    nodes: tuple[Node, ...]


FILES_NOTE = """
**Files**: the EchoMimicV2 weights (`denoising_unet_acc.pth`, `motion_module_acc.pth`, `reference_unet.pth`,
`pose_encoder.pth` from [BadToBest/EchoMimicV2](https://huggingface.co/BadToBest/EchoMimicV2)) and Whisper's `tiny.pt`
go into `models/echomimic`, the VAE into `models/vae`.
"""

LOADERS = (
    Node("1", "EchoMimicV2Loader", (0, 0), {"model": "accelerated", "weight_dtype": "auto", "audio_encoder": "auto"}),
    Node("2", "VAELoader", (0, 200), {"vae_name": VAE["name"]}, models=(VAE,)),
)
INPUTS = (
    Node("3", "LoadImage", (0, 330), {"image": "character.png"}),
    Node("4", "LoadAudio", (0, 700), {"audio": "speech.flac"}),
)
REFERENCE = Node(
    "6",
    "EchoMimicV2ReferenceEncode",
    (420, 0),
    {"reference_net": ["1", 1], "vae": ["2", 0], "image": ["3", 0], "width": 768, "height": 768, "fit": "crop"},
)
AUDIO = Node(
    "7",
    "EchoMimicV2AudioEmbeds",
    (420, 240),
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
LOAD_POSE = Node(
    "5",
    "EchoMimicV2LoadPose",
    (420, 540),
    {"folder": "gesture.json", "start_frame": 0, "frames": 0, "fps": 24.0},
)
CLIP = {"frames": 0, "pose_fit": "loop", "context_frames": 12, "context_overlap": 3}
SAMPLER = Node(
    "8",
    "EchoMimicV2Sampler",
    (840, 0),
    {
        "model": ["1", 0],
        "reference": ["6", 0],
        "audio_embeds": ["7", 0],
        "pose": ["5", 0],
        "seed": 420,
        "steps": 0,
        "cfg": 0.0,
        "sampler_name": "original",
        **CLIP,
    },
)


def film(latent: list, x: int) -> tuple[Node, ...]:
    return (
        Node(
            "9",
            "EchoMimicV2DecodeToVideo",
            (x, 0),
            {"samples": latent, "vae": ["2", 0], "audio": ["7", 1], "fps": 24.0, "frames_per_batch": 4},
        ),
        Node(
            "10",
            "SaveVideo",
            (x, 240),
            {"video": ["9", 0], "filename_prefix": "video/EchoMimicV2", "format": "mp4", "codec": "h264"},
        ),
    )


TALKING_PICTURE = Graph(
    "talking_picture",
    "## A picture, a voice, a gesture\n\n"
    "1. Choose a picture in **Load Image**: one person from the waist up, both hands visible.\n"
    "2. Choose a voice in **Load Audio**.\n"
    "3. Choose hand poses in **Load Pose**, and look in **Preview Pose** whether the hands lie on the hands.\n"
    "4. Press **Run**. The video is as long as the voice; a shorter pose is looped.\n" + FILES_NOTE,
    (
        *LOADERS,
        *INPUTS,
        REFERENCE,
        AUDIO,
        LOAD_POSE,
        Node(
            "11",
            "EchoMimicV2PreviewPose",
            (840, 420),
            {
                "pose": ["5", 0],
                "image": ["6", 1],
                "max_frames": 4,
                "body_and_face": False,
                "contact_sheet": False,
            },
        ),
        SAMPLER,
        *film(["8", 0], 1260),
    ),
)

CUSTOM_SAMPLING = Graph(
    "custom_sampling",
    "## With ComfyUI's own samplers\n\n"
    "**APDH Conditioning** makes positive, negative and an empty latent of the right length, so that every core "
    "sampler, guider, LoRA and model patch works. **EchoMimicV2 Scheduler** gives the exact noise levels and sampler "
    "of the original. Guidance (cfg) is 1 for the accelerated model and 2.5 for the standard model.\n" + FILES_NOTE,
    (
        *LOADERS,
        *INPUTS,
        REFERENCE,
        AUDIO,
        LOAD_POSE,
        Node(
            "20",
            "EchoMimicV2APDHConditioning",
            (840, 0),
            {"reference": ["6", 0], "audio_embeds": ["7", 0], "pose": ["5", 0], **CLIP},
        ),
        Node("21", "EchoMimicV2Scheduler", (840, 280), {"model": ["1", 0], "steps": 0}),
        Node("23", "RandomNoise", (840, 450), {"noise_seed": 420}),
        Node(
            "24",
            "CFGGuider",
            (840, 590),
            {"model": ["1", 0], "positive": ["20", 0], "negative": ["20", 1], "cfg": 1.0},
        ),
        Node(
            "25",
            "SamplerCustomAdvanced",
            (1260, 0),
            {
                "noise": ["23", 0],
                "guider": ["24", 0],
                "sampler": ["21", 1],
                "sigmas": ["21", 0],
                "latent_image": ["20", 2],
            },
        ),
        *film(["25", 0], 1680),
    ),
)

GRAPHS = (TALKING_PICTURE, CUSTOM_SAMPLING)

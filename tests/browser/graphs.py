"""The example workflows as they are drawn: which nodes, where, and how they are wired.

`make_workflows.py` turns them into the files in workflows/ with ComfyUI's own page, so that these are saved the way
the page saves. Change a graph here, then run that script.
"""

from dataclasses import dataclass, field, replace

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

MEDIAPIPE_NOTE = """
MediaPipe's `hand_landmarker.task` and `pose_landmarker.task` go into `models/mediapipe`; **Hand Pose** can download
them.
"""
ALIGN = {
    "width": 768,
    "height": 768,
    "framing": "show hands",
    "fit_hands": True,
    "fill": "black",
    "overlay_frames": 6,
}

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
CLIP = {"frames": 0, "pose_fit": "loop", "context_frames": 12, "context_overlap": 3, "loop": True}
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


def video(latent: list, x: int, vae: tuple[str, int] = ("2", 0)) -> tuple[Node, ...]:
    return (
        Node(
            "9",
            "EchoMimicV2DecodeToVideo",
            (x, 0),
            {"samples": latent, "vae": list(vae), "audio": ["7", 1], "fps": 0.0, "frames_per_batch": 4},
        ),
        Node(
            "10",
            "SaveVideo",
            (x, 240),
            {"video": ["9", 0], "filename_prefix": "video/EchoMimicV2", "format": "mp4", "codec": "h264"},
        ),
    )


PREVIEW_POSE = Node(
    "11",
    "EchoMimicV2PreviewPose",
    (840, 420),
    {"pose": ["5", 0], "image": ["6", 1], "max_frames": 4, "body_and_face": False, "contact_sheet": False},
)
QUICK_START = Graph(
    "quick_start",
    "## Quick start: one widget for the model\n\n"
    "1. Choose the **model** in **Load EchoMimicV2**. VAE, size (width and height 0 in **Reference Encode**), "
    "steps and guidance (0 in **EchoMimicV2 Sampler**) follow it.\n"
    "2. Choose a picture in **Load Image**: one person from the waist up, both hands visible.\n"
    "3. Choose a voice in **Load Audio** and hand poses in **Load Pose**.\n"
    "4. Press **Run**. The video is as long as the voice.\n"
    "\n**Files**: a one-file model goes into `models/echomimic`; if it is complete, nothing else is needed. "
    "The released weights of **accelerated** (`denoising_unet_acc.pth`, `motion_module_acc.pth`, `reference_unet.pth`, "
    "`pose_encoder.pth` from [BadToBest/EchoMimicV2](https://huggingface.co/BadToBest/EchoMimicV2)) go there with "
    f"Whisper's `tiny.pt`, and [{VAE['name']}]({VAE['url']}) into `models/vae`.\n",
    (
        LOADERS[0],
        replace(INPUTS[0], place=(0, 240)),
        replace(INPUTS[1], place=(0, 620)),
        replace(REFERENCE, inputs={**REFERENCE.inputs, "vae": ["1", 3], "width": 0, "height": 0}),
        AUDIO,
        LOAD_POSE,
        PREVIEW_POSE,
        SAMPLER,
        *video(["8", 0], 1260, ("1", 3)),
    ),
)

TALKING_PICTURE = Graph(
    "talking_picture",
    "## A picture, a voice, a gesture\n\n"
    "1. Choose a picture in **Load Image**: one person from the waist up, both hands visible.\n"
    "2. Choose a voice in **Load Audio**.\n"
    "3. Choose hand poses in **Load Pose**, and check in **Preview Pose** whether the hands line up.\n"
    "4. Press **Run**. The video is as long as the voice; a shorter pose is looped.\n" + FILES_NOTE,
    (
        *LOADERS,
        *INPUTS,
        REFERENCE,
        AUDIO,
        LOAD_POSE,
        PREVIEW_POSE,
        SAMPLER,
        *video(["8", 0], 1260),
    ),
)

LIBRARY = tuple(
    Node(
        id,
        "EchoMimicV2PoseLibrary",
        place,
        {"gesture": gesture, "frames": frames, "fps": 24.0, "mirror": False, "energy": 1.0, "seed": 0},
    )
    for id, place, gesture, frames in (("30", (420, 310), "waving", 48), ("31", (420, 560), "explaining", 240))
)
GESTURES = Graph(
    "gesture_library",
    "## Built-in gestures\n\n"
    "No pose file at hand? **Gesture Library** has eight gestures of any length. Here a greeting turns into an "
    "explanation; if the voice is longer, the gestures are looped. Chain **Blend Poses** for more, and change a pose "
    "with **Edit Pose**.\n\n"
    "**Align Pose** detects the person in the picture and fits the hands to that person. Read its report: it "
    "explains a low score.\n" + FILES_NOTE + MEDIAPIPE_NOTE,
    (
        *LOADERS,
        *INPUTS,
        *LIBRARY,
        Node("32", "EchoMimicV2BlendPose", (840, 450), {"first": ["30", 0], "second": ["31", 0], "transition": 12}),
        Node("33", "EchoMimicV2AlignPose", (840, 0), {"image": ["3", 0], "pose": ["32", 0], **ALIGN}),
        replace(REFERENCE, inputs={**REFERENCE.inputs, "image": ["33", 0]}, place=(1260, 0)),
        replace(AUDIO, place=(420, 0)),
        replace(SAMPLER, inputs={**SAMPLER.inputs, "pose": ["33", 1]}, place=(1680, 0)),
        Node("34", "PreviewImage", (1260, 300), {"images": ["33", 2]}),
        Node("35", "PreviewAny", (1260, 620), {"source": ["33", 5]}),
        *video(["8", 0], 2100),
    ),
)

DRIVING_VIDEO = Graph(
    "driving_video",
    "## Hands from a video of your own\n\n"
    "1. Record someone speaking with both hands in the picture, and choose the video in **Load Video**.\n"
    "2. **Hand Pose** detects the hands in every frame, fills gaps and smooths them; read its report.\n"
    "3. **Align Pose** fits them to the person in the picture, which is framed the way the model was trained.\n"
    "4. To reuse a pose, save it with **Save Pose** and load it with **Load Pose**.\n" + FILES_NOTE + MEDIAPIPE_NOTE,
    (
        *LOADERS,
        *INPUTS,
        Node("40", "LoadVideo", (420, 330), {"file": "driving.mp4"}),
        Node(
            "41",
            "EchoMimicV2HandPose",
            (840, 450),
            {
                "source": ["40", 0],
                "source_fps": 24.0,
                "fps": 24.0,
                "start": 0.0,
                "duration": 0.0,
                "smoothing": 0.3,
                "max_gap": 0.5,
                "long_gaps": "hold",
                "download_models": False,
            },
        ),
        Node("33", "EchoMimicV2AlignPose", (840, 0), {"image": ["3", 0], "pose": ["41", 0], **ALIGN}),
        replace(REFERENCE, inputs={**REFERENCE.inputs, "image": ["33", 0]}, place=(1260, 0)),
        replace(AUDIO, place=(420, 0)),
        replace(SAMPLER, inputs={**SAMPLER.inputs, "pose": ["33", 1]}, place=(1680, 0)),
        Node("34", "PreviewImage", (1260, 300), {"images": ["33", 2]}),
        Node("35", "PreviewAny", (1260, 620), {"source": ["41", 1]}),
        *video(["8", 0], 2100),
    ),
)

CUSTOM_SAMPLING = Graph(
    "custom_sampling",
    "## With ComfyUI's own samplers\n\n"
    "**APDH Conditioning** outputs positive, negative and an empty latent of the right length, so that ComfyUI's "
    "samplers, guiders, LoRAs and model patches work. **EchoMimicV2 Scheduler** provides the original's exact "
    "noise schedule and sampler. Guidance (cfg) is 1 for the accelerated model and 2.5 for the standard model.\n"
    + FILES_NOTE,
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
        *video(["25", 0], 1680),
    ),
)

GRAPHS = (QUICK_START, TALKING_PICTURE, GESTURES, DRIVING_VIDEO, CUSTOM_SAMPLING)

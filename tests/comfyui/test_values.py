"""A value that comes by a wire or by HTTP is taken as what it means, or refused with a sentence before any work."""

import pytest
from comfy_server import WorkflowError
from comfy_workflow import default_of, is_widget
from tiny_models import MODEL_NAME, VAE_NAME

RUN_SECONDS = 60
NODES = {
    "library": ("EchoMimicV2PoseLibrary", {"frames": 2}),
    "load": ("EchoMimicV2LoadPose", {"folder": "gesture.json", "frames": 2}),
    "preview": ("EchoMimicV2PreviewPose", {"pose": ["library", 0], "max_frames": 2}),
    "edit": ("EchoMimicV2EditPose", {"pose": ["library", 0]}),
    "loader": ("EchoMimicV2Loader", {"model": MODEL_NAME}),
    "sound": ("StrangeValue", {"name": "sound"}),
    "embeds": ("EchoMimicV2AudioEmbeds", {"audio_encoder": ["loader", 2], "audio": ["sound", 0]}),
    "vae": ("VAELoader", {"vae_name": VAE_NAME}),
    "picture": ("StrangeValue", {"name": "picture"}),
    "reference": (
        "EchoMimicV2ReferenceEncode",
        {"reference_net": ["loader", 1], "vae": ["vae", 0], "image": ["picture", 0], "width": 64, "height": 64},
    ),
    "sampler": (
        "EchoMimicV2Sampler",
        {"model": ["loader", 0], "reference": ["reference", 0], "audio_embeds": ["embeds", 0], "frames": 2},
    ),
    "latents": ("EmptyLatentImage", {"width": 64, "height": 64}),
    "decode": ("EchoMimicV2DecodeToVideo", {"vae": ["vae", 0], "samples": ["latents", 0]}),
    "save": ("EchoMimicV2SaveModel", {"model": ["loader", 0]}),
    "options": ("EchoMimicV2APDHOptions", {}),
    "evaluate": ("EchoMimicV2Evaluate", {"video": ["decode", 0]}),
}


def graph(object_info: dict, kind: str, **changed) -> dict:
    """A graph around one node, with what it needs, and somebody who asks for what it gives."""
    prompt, wanted = {}, [kind]
    while wanted:
        name = wanted.pop()
        node, given = NODES[name]
        schema = object_info[node]["input"]
        specs = {**schema.get("required", {}), **schema.get("optional", {})}
        inputs = {socket: default_of(spec) for socket, spec in specs.items() if is_widget(spec)}
        inputs |= given | (changed if name == kind else {})
        prompt[name] = {"class_type": node, "inputs": inputs}
        wanted += [value[0] for value in inputs.values() if isinstance(value, list) and value[0] not in prompt]
    if object_info[NODES[kind][0]]["output"]:
        prompt["shown"] = {"class_type": "PreviewAny", "inputs": {"source": [kind, 0]}}
    return prompt


@pytest.fixture
def wired(object_info):
    """A graph in which a value of the tests' own node is wired into an input."""

    def make(kind: str, socket: str, value: str) -> dict:
        prompt = graph(object_info, kind, **{socket: "to be wired"})
        prompt["strange"] = {"class_type": "StrangeValue", "inputs": {"name": value}}
        prompt[kind]["inputs"][socket] = ["strange", 0]
        return prompt

    return make


TAKEN = [
    *(("library", "frames", value) for value in ("2.0", "NumPy 2", "tensor 2", "tensor of one 2", "fraction 2")),
    *(("library", "frames", value) for value in ("text 2", "text 24.0")),
    ("library", "fps", "text 24.0"),
    ("library", "gesture", "waving"),
    ("library", "mirror", "text false"),
    ("load", "folder", "gesture.json"),
    ("load", "frames", "text 2"),
    *(("preview", "image", value) for value in ("one picture", "NumPy picture", "bytes", "half", "grey")),
    ("preview", "image", "transparent"),
    ("reference", "image", "one picture"),
    ("reference", "image", "bytes"),
    ("options", "mask", "mask"),
    *(("embeds", "audio", value) for value in ("sound", "rate 16000.0", "NumPy rate", "tensor rate", "text rate")),
    ("embeds", "fps", "text 24.0"),
    ("decode", "audio", "text rate"),
]


@pytest.mark.parametrize(("kind", "socket", "value"), TAKEN, ids=lambda part: part)
def test_what_means_a_value_is_taken(comfy, wired, kind, socket, value):
    comfy.run(wired(kind, socket, value), RUN_SECONDS)


REFUSED = {
    ("library", "frames", "none"): "frames got nothing",
    ("library", "frames", "2.5"): "frames is 2.5, but it has to be a whole number from 1 to 100,000",
    ("library", "frames", "text"): "frames is 'many', but it has to be a whole number",
    ("library", "frames", "nan"): "frames is nan",
    ("library", "frames", "infinity"): "frames is ",
    ("library", "frames", "complex"): "frames is (2+1j)",
    ("library", "frames", "-1"): "frames is -1, but it has to be a whole number from 1 to 100,000",
    ("library", "frames", "list"): "frames is [2]",
    ("library", "frames", "picture"): "frames is an array of shape (1, 64, 48, 3)",
    ("library", "fps", "nan"): "fps is nan, but it has to be a number from 1.0 to 120.0",
    ("library", "fps", "infinity"): "fps is ",
    ("library", "fps", "text"): "fps is 'many'",
    ("library", "mirror", "nonsense"): "mirror is 'nonsense', but it has to be true or false",
    ("library", "gesture", "nonsense"): "gesture is 'nonsense', which is not a valid choice: choose one of idle, "
    "open_hands",
    ("load", "folder", "nonsense"): "there is no pose 'nonsense'",
    ("load", "folder", "none"): "folder got nothing",
    ("preview", "image", "no pictures"): "image is an empty batch (shape (0, 64, 48, 3))",
    ("preview", "image", "two channels"): "image has shape (1, 64, 48, 2), but an IMAGE is",
    (
        "preview",
        "image",
        "broken picture",
    ): "image contains values that are not numbers (NaN or infinite), first in pict",
    ("preview", "image", "complex picture"): "image contains values of type torch.complex64",
    ("preview", "image", "sparse picture"): "image is an array of shape (1, 64, 48, 3), but it has to be an IMAGE",
    ("preview", "image", "text"): "image is 'many', but it has to be an IMAGE",
    ("reference", "image", "broken picture"): "image contains values that are not numbers",
    ("reference", "image", "none"): "image got nothing",
    ("preview", "pose", "none"): "pose got nothing",
    ("preview", "pose", "text"): "pose is 'many', but this input takes ECHOMIMIC_POSE: connect a node that makes it",
    ("edit", "pose", "list"): "pose is [2], but this input takes ECHOMIMIC_POSE",
    ("sampler", "model", "picture"): "model is an array of shape (1, 64, 48, 3), but this input takes MODEL",
    ("sampler", "reference", "sound"): "reference is {'waveform'",
    ("options", "mask", "broken mask"): "mask contains values that are not numbers",
    ("options", "mask", "picture"): "mask has shape (1, 64, 48, 3), but a MASK is",
    ("embeds", "audio", "none"): "There is no audio",
    ("embeds", "audio", "text"): "audio is 'many', but an AUDIO has a waveform and a sample_rate",
    ("embeds", "audio", "no rate"): "the sample_rate of audio is None, but it has to be a whole number",
    ("embeds", "audio", "rate too low"): "the sample_rate of audio is 8, but it has to be a whole number from 1,000",
    ("embeds", "audio", "sound without samples"): "the audio has no samples",
    ("embeds", "audio", "broken sound"): "the audio contains values that are not numbers",
    ("embeds", "audio", "two sounds"): "the audio is a batch of 2 sounds",
    ("embeds", "audio", "complex sound"): "the waveform of audio is an array of shape (1, 2, 8000)",
    ("embeds", "audio", "65 channels"): "audio has 65 channels, but audio can have at most 64",
    ("embeds", "audio", "list of samples"): "the waveform of audio is [0.0, 0.5]",
    ("decode", "samples", "latents without samples"): "samples is {'noise'",
    ("decode", "samples", "latents with a strange rate"): "the fps of samples is nan",
    ("save", "weight_dtype", "nonsense"): "weight_dtype is 'nonsense', which is not a valid choice: choose one of "
    "auto, float32",
}


@pytest.mark.parametrize(("where", "sentence"), REFUSED.items(), ids=lambda part: " ".join(part))
def test_what_means_none_is_refused_with_a_sentence(comfy, wired, where, sentence):
    with pytest.raises(WorkflowError) as refused:
        comfy.run(wired(*where), RUN_SECONDS)
    assert sentence in str(refused.value)


NAN = float("nan")
BEFORE_THE_RUN = {
    ("sampler", "cfg", NAN): "cfg is nan",
    ("decode", "fps", NAN): "fps is nan",
    ("decode", "fps", 500.0): "fps",
    ("embeds", "start", NAN): "start is nan",
    ("edit", "rotate", float("inf")): "rotate is inf",
    ("sampler", "sampler_name", "nonsense"): "nonsense",
    ("edit", "lengthen", "nonsense"): "nonsense",
    ("save", "weight_dtype", "int8"): "int8",
    ("loader", "model", "gone.safetensors"): "gone.safetensors is not in",
    ("sampler", "context_overlap", 12): "context overlap is 12, but it must be between 0 and 11",
    ("reference", "width", 8): "would be 8x64 pixels, but each side must be at least 64",
    ("evaluate", "metrics", "HKC, Synk"): "there is no metric ' Synk': choose from",
}


@pytest.mark.parametrize(("where", "sentence"), BEFORE_THE_RUN.items(), ids=lambda part: str(part))
def test_what_can_be_known_before_the_run_is_refused_before_it(comfy, object_info, where, sentence):
    kind, socket, value = where
    with pytest.raises(WorkflowError) as refused:
        comfy.queue(graph(object_info, kind, **{socket: value}))
    assert sentence in str(refused.value)

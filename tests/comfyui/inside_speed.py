"""Run inside ComfyUI's own Python: the samplers stopped, short of memory, resumed and sped up; what happened as JSON.

python inside_speed.py COMFYUI_FOLDER PACK_FOLDER FOLDER_FOR_FILES
"""

import json
import logging
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

from started_comfyui import ARGUMENTS, PACK, load  # isort: skip

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from counted import ClipLatents, Reads

FOLDER, *ONLY = ARGUMENTS
folder_paths.set_output_directory(str(FOLDER))
audio = load("echomimicv2.echomimic_core.audio")
build = load("echomimicv2.echomimic_core.models.build")
checkpoints = load("echomimicv2.echomimic_core.files.checkpoints")
memory = load("echomimicv2.echomimic_core.sampling.memory")
reference_unet = load("echomimicv2.echomimic_core.models.reference_unet")
runtime = load("echomimicv2.echomimic_core.runtime")
bridge = load("echomimicv2.bridge.model")
segments = load("echomimicv2.bridge.segments")
files = load("echomimicv2.bridge.model_files")
long_sampler = load("echomimicv2.nodes.sampling.long_sampler")
sampler = load("echomimicv2.nodes.sampling.sampler")
speed = load("echomimicv2.nodes.model.speed")

HEIGHT, WIDTH = 4, 6
STEPS = 3
STEPS_OF_PHASES = 6  # The first, four, and the last lie in the three phases of guidance
FPS = 25.0
SEGMENTED = {"frames": 40, "segment_frames": 16, "held_frames": 4}
WINDOWS = {"context_frames": 8, "context_overlap": 2}

torch.manual_seed(0)
model, reference_net = files.load_models(
    checkpoints.open_one_file(build.write_tiny_model(FOLDER / "tiny.safetensors")),
    torch.float32,
)
with torch.no_grad():
    tokens = reference_net.model(torch.randn(1, 4, HEIGHT, WIDTH))
picture = reference_unet.ReferenceFeatures(tokens, HEIGHT, WIDTH)
voice = audio.AudioTokens(torch.randn(200, 5, 384), fps=FPS, frames=40)
network = model.model.diffusion_model.denoising_unet


def sample(on=model, frames=20, cfg=2.5, steps=STEPS, context=8, overlap=2, sampler_name="original"):
    """Latents of the EchoMimicV2 Sampler."""
    settings = (5, steps, cfg, sampler_name, frames, "loop", context, overlap)
    return sampler.EchoMimicV2Sampler.execute(on, picture, voice, *settings).args[0]["samples"]


def sample_long(folder: str, sound=voice) -> dict:
    """The LATENT of the Long Sampler, its segments in `folder`."""
    given = {"seed": 5, "steps": STEPS, "cfg": 1.0, "sampler_name": "original", "pose_fit": "loop", "loop": False}
    return long_sampler.EchoMimicV2LongSampler.execute(
        model, picture, sound, **given, **SEGMENTED, **WINDOWS, folder=folder
    ).args[0]


@contextmanager
def watched(before_each: Callable[[int, torch.Tensor], None] = lambda number, latents: None):
    """Sizes of the batches that go through the network; `before_each` may fail one, counted from 1."""
    batches: list[int] = []
    forward = network.forward

    def counted(latents, *arguments):
        batches.append(len(latents))
        before_each(len(batches), latents)
        return forward(latents, *arguments)

    network.forward = counted
    try:
        yield batches
    finally:
        del network.forward


def cancelling(after: int) -> Callable[[int, torch.Tensor], None]:
    """As if somebody pressed cancel while the network is at its `after`-th batch."""
    return lambda number, latents: number == after and comfy.model_management.interrupt_current_processing()


def failure(function: Callable[[], object]) -> dict:
    try:
        function()
    except (Exception, comfy.model_management.InterruptProcessingException) as error:  # newer: no Exception
        return {"kind": type(error).__name__, "text": str(error)}
    return {"kind": "none"}


def distance(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


def segment_files(name: str) -> dict[str, bytes]:
    folder = FOLDER / long_sampler.FOLDER / name
    return {path.name: path.read_bytes() for path in sorted(folder.glob("segment_*"))}


def stop_and_resume() -> dict:
    with watched() as undisturbed:
        whole = sample_long("whole")
    # In the second step of the second segment
    with watched(cancelling(STEPS * 3 + 4)) as batches:
        stopped = failure(lambda: sample_long("stopped"))
    left = segment_files("stopped")
    with watched() as rest:
        resumed = sample_long("stopped")
    with watched() as again:
        sample_long("stopped")
    return {
        "stopped": stopped,
        "batches_after_cancel": len(batches) - (STEPS * 3 + 4),
        "left": {name: content == segment_files("whole")[name] for name, content in left.items()},
        "files": list(segment_files("whole")),
        "same_files": segment_files("stopped") == segment_files("whole"),
        "same_latents": torch.equal(resumed["samples"], whole["samples"]),
        "batches": [len(undisturbed), len(rest), len(again)],
        "fps": whole.get("fps"),
        "shape": list(whole["samples"].shape),
        "other_run": failure(lambda: sample_long("whole", replace(voice, strength=0.5))),
        "lost": failure(lambda: long_sampler.segment_folder("../elsewhere")),
    }


def full_disk() -> dict:
    """No file can grow any more in the middle of the second segment; afterwards there is room again."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(number: int, latents: torch.Tensor) -> None:
        if number == STEPS * 3 + 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    with watched(fill):
        stopped = failure(lambda: sample_long("full"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    left = [path.name for path in (FOLDER / long_sampler.FOLDER / "full").iterdir()]
    with watched() as rest:
        sample_long("full")
    same = segment_files("full") == segment_files("whole")
    return {"stopped": stopped, "left": sorted(left), "rest": len(rest), "same_files": same}


def voice_in_its_place() -> dict:
    """The second half of the sound is another one: which frames change?"""
    features = voice.features.clone()
    features[60:] = -2 * features[60:]  # From 1.2 s, frame 30, on
    one = sample_long("whole")["samples"]
    other = sample_long("other voice", replace(voice, features=features))["samples"]
    changed = (one - other).flatten(1).norm(dim=1) / one.flatten(1).norm(dim=1)
    return {"first_segment": float(changed[:16].max()), "last_frames": float(changed[34:].min())}


def shortcuts() -> dict:
    def options(*values):
        return speed.EchoMimicV2SpeedOptions.execute(model, *values).args[0]

    def run(on=model, **settings) -> torch.Tensor:
        return sample(on, frames=12, steps=STEPS_OF_PHASES, **settings)

    exact = run()
    span = exact.max() - exact.min()

    def psnr(latents: torch.Tensor) -> float:
        return float(20 * torch.log10(span / (latents - exact).square().mean().sqrt()))

    runs = {
        "no guidance at the end": (True, True, False, 1, 1),
        "no guidance at the start": (False, True, True, 1, 1),
        "reuse": (True, True, True, 2, 1),
        "merge": (True, True, True, 1, 2),
        "preset": (True, True, True, 1, 1, "fast"),
    }
    return {
        "off_is_exact": torch.equal(run(options(True, True, True, 1, 1)), exact),
        "preset_exact": torch.equal(run(options(False, False, True, 3, 2, "exact")), exact),
        "input_unchanged": torch.equal(run(), exact),
        "no_guidance_anywhere": distance(run(options(False, False, False, 1, 1)), run(cfg=1.0)),
        "psnr": {name: psnr(run(options(*values))) for name, values in runs.items()}
        | {"overlap": psnr(run(overlap=0))},
    }


def guidance_of_others() -> dict:
    """A node that sees both halves of guidance, as RescaleCFG does, and leaves them as they are."""
    calls = []

    def see(args: dict) -> torch.Tensor:
        calls.append(distance(args["uncond_denoised"], args["cond_denoised"]))
        return args["denoised"]

    other = model.clone()
    other.set_model_sampler_post_cfg_function(see)
    error = distance(sample(other), sample())
    return {"calls": len(calls), "least_difference_of_halves": min(calls), "error": error}


def short_memory() -> dict:
    def out_of_memory(limit: int):
        def check(number: int, latents: torch.Tensor) -> None:
            if len(latents) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        return check

    expected = sample()
    bridge.ON_CPU = memory.Batching(4)  # As on a GPU with room for four windows
    found = {}
    try:
        for name, limit in {"enough": 10**6, "two windows": 32, "one half": 8}.items():
            with watched(out_of_memory(limit)) as batches:
                latents = sample()
            found[name] = {"batches": batches, "error": distance(latents, expected)}
        found["never enough"] = {}
        with watched(out_of_memory(0)):
            found["never enough"] = failure(sample)
    finally:
        bridge.ON_CPU = memory.ON_CPU
    return found


def refusal() -> dict:
    runtime.set_memory_hooks(lambda device: 2**20, lambda: None)
    try:
        with watched() as batches:
            return {**failure(sample), "batches": len(batches)}
    finally:
        runtime.set_memory_hooks(
            lambda device: int(comfy.model_management.get_free_memory(device)), comfy.model_management.soft_empty_cache
        )


def progress_and_cancel() -> dict:
    shown: list[tuple[int, int]] = []
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    # As nodes tell it: a newer ComfyUI does not pass every one of quick steps on to the page.
    bar = comfy.utils.ProgressBar
    told = bar.update_absolute

    def note(self, value, total=None, preview=None):
        told(self, value, total, preview)
        shown.append((self.current, self.total))

    bar.update_absolute = note
    try:
        with watched() as batches:
            sample()
        sampling, windows = list(shown), len(batches)
        shown.clear()
        with watched(cancelling(5)) as batches:
            stopped = failure(sample)
        shown.clear()
        sample_long("progress")
    finally:
        bar.update_absolute = told
        logging.getLogger().removeHandler(handler)
    return {
        "shares": [value / total for value, total in sampling],
        "windows": windows,
        "stopped": stopped,
        "batches_until_stop": len(batches),
        "long": [value / total for value, total in shown],
        "plans": [line for line in lines if "while sampling" in line],
    }


def copies_of_latents() -> dict:
    """Most copies alive, how many the plan takes into account, and for how many core makes room before that."""
    sys.path.append(str(PACK))  # For benchmarks; behind ComfyUI's own, whose names some of ours are
    other = model.clone()
    other.set_model_sampler_post_cfg_function(lambda args: args["denoised"])
    runs = {
        "guided": {"cfg": 2.5},
        "unguided": {"cfg": 1.0},
        "euler": {"sampler_name": "euler"},
        "other guidance": {"on": other},
    }
    found, plan, sizes = {}, bridge.plan_batching, []
    asked, needed = bridge.EchoMimicModel.memory_required, []
    bridge.plan_batching = lambda size, *rest: sizes.append(size) or plan(size, *rest)

    def memory_required(self, input_shape, cond_shapes=None):
        needed.append(max((shape[2] for shape in (cond_shapes or {}).get(bridge.RUN_SHAPE, [])), default=None))
        return asked(self, input_shape, cond_shapes)

    bridge.EchoMimicModel.memory_required = memory_required
    try:
        for name, settings in runs.items():
            needed.clear()
            with ClipLatents(71, HEIGHT, WIDTH) as counter:
                sample(frames=71, steps=2, context=32, **settings)
            found[name] = {"alive": counter.copies, "planned": sizes[-1].latent_copies, "room": needed[0]}
    finally:
        bridge.plan_batching, bridge.EchoMimicModel.memory_required = plan, asked
    return found


def patched_weights() -> dict:
    """The name of a patched MODEL before and after its patches are in the weights, and that of the plain one."""
    patched = model.clone()
    key = "diffusion_model.denoising_unet.conv_out.weight"
    patched.add_patches({key: (torch.ones(4, 1, 1, 1).expand_as(network.conv_out.weight) * 0.1,)}, 0.5)
    names = [segments.model_fingerprint(patched), segments.model_fingerprint(model)]
    before = network.conv_out.weight.clone()
    sample(patched, frames=8, steps=1)
    loaded = not torch.equal(network.conv_out.weight, before)
    return {"loaded": loaded, "before": names, "after": [segments.model_fingerprint(m) for m in (patched, model)]}


def cast_weights() -> float:
    """Weights in float16, computed in float32: how far are halves of guidance that go apart from those together?"""
    half, _ = files.load_models(checkpoints.open_one_file(FOLDER / "tiny.safetensors"), torch.float16)
    together = sample(half, frames=8, steps=2)
    bridge.ON_CPU = memory.Batching(1, halves_together=False)
    try:
        return distance(sample(half, frames=8, steps=2), together)
    finally:
        bridge.ON_CPU = memory.ON_CPU


def two_devices() -> dict:
    """ComfyUI's MultiGPU CFG Split, its second device being the processor by another name."""
    try:
        from comfy_extras.nodes_multigpu import MultiGPUCFGSplitNode
    except ImportError:  # Before there was such a node
        return {}
    devices, manager = comfy.model_management.get_all_torch_devices, comfy.model_management
    manager.get_all_torch_devices = lambda exclude_current=False: [torch.device("cpu"), torch.device("cpu", 0)]
    try:
        split = MultiGPUCFGSplitNode.execute(model, 2).args[0]
        (copy,) = split.get_additional_models_with_key("multigpu")
        other = copy.model.diffusion_model.denoising_unet
        forward, there = other.forward, []
        other.forward = lambda latents, *rest: there.append(len(latents)) or forward(latents, *rest)
        with watched() as here:
            latents = sample(split)
        found = {"own weights": other is not network, "here": list(here), "there": list(there)}
        patches = {"diffusion_model.denoising_unet.conv_out.weight": (torch.full_like(network.conv_out.weight, 0.1),)}
        patched, alone = split.clone(), model.clone()
        for one in (patched, alone):
            one.add_patches(patches, 0.5)
        found["error"] = distance(latents, sample())
        found["patched"] = distance(sample(patched), sample(alone))
        found["unguided"] = distance(sample(split, cfg=1.0), sample(cfg=1.0))
        return found
    finally:
        manager.get_all_torch_devices = devices


def compiled() -> dict:
    """Core's compile node, with the attention of GPUs, for two lengths of clips: sizes of graphs, and breaks."""
    from comfy.ldm.modules.attention import attention_pytorch
    from comfy_api.torch_helpers import set_torch_compile_wrapper
    from torch._dynamo.utils import counters

    graphs: list[int] = []

    def backend(graph, example):
        graphs.append(len(graph.graph.nodes))
        return graph

    fast = model.clone()
    set_torch_compile_wrapper(model=fast, backend=backend)
    lengths, errors = (20, 26), []
    runtime.set_attention(attention_pytorch)
    try:
        for frames in lengths:
            errors.append(distance(sample(fast, frames=frames, steps=2), sample(frames=frames, steps=2)))
    finally:
        runtime.set_attention(load("comfy.ldm.modules.attention").optimized_attention)
    return {"graphs": graphs, "errors": errors, "breaks": sum(counters["graph_break"].values())}


def reads_of_numbers() -> dict:
    """Reads in a second step, by its batches of windows; in the first step poses are drawn and kept."""
    found = {}
    for frames in (8, 40):
        counts = []
        for steps in (1, 2):
            with watched() as batches, Reads() as reads:
                sample(frames=frames, steps=steps)
            counts.append(reads.count)
        found[len(batches) // 2] = counts[1] - counts[0]
    return found


CHECKS = (
    stop_and_resume,
    full_disk,
    voice_in_its_place,
    shortcuts,
    guidance_of_others,
    short_memory,
    refusal,
    progress_and_cancel,
    copies_of_latents,
    patched_weights,
    cast_weights,
    two_devices,
    reads_of_numbers,
)
with torch.inference_mode():
    print(json.dumps({check.__name__: check() for check in ((compiled,) if ONLY else CHECKS)}))

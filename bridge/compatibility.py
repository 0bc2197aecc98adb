"""What other nodes hang on our MODEL: what cannot work is refused with a sentence, what has no effect says so.

docs/compatibility.md is the table of ComfyUI's own nodes, each row a test.
"""

import re
from collections.abc import Iterator

from .reports import warn

# Nodes by the file of ComfyUI that their functions come from, where the name of the file does not say it.
NODES = {
    "nodes_sag": "Self-Attention Guidance",
    "nodes_eps": "TSR - Temporal Score Rescaling",
    "nodes_hypertile": "HyperTile",
    "nodes_tomesd": "Token Merging (ToMe)",
    "nodes_model_downscale": "Deep Shrink (PatchModelAddDownscale)",
    "nodes_pag": "Perturbed-Attention Guidance",
    "nodes_slg": "Skip Layer Guidance",
    "nodes_easycache": "EasyCache",
    "nodes_hypernetwork": "Hypernetwork Loader",
    "nodes_lumina2": "RenormCFG",
    "nodes_nag": "Normalized Attention Guidance",
}
# Guidance that breaks on our MODEL: the file, a part of the function's name, and why.
BREAKING_GUIDANCE = (
    ("nodes_sag", "", "needs the attention maps of a Stable Diffusion U-Net, which EchoMimicV2 does not provide"),
    ("nodes_lumina2", "renorm_cfg", "works on a single picture, but a clip is many pictures"),
    ("nodes_eps", "temporal_score_rescaling", "works on a single picture, but a clip is many pictures"),
)
# Their guidance compares with a run whose patches our network does not read, and so adds nothing.
IDLE_GUIDANCE = ("nodes_pag", "nodes_slg")
GUIDANCE_HOOKS = (
    "sampler_calc_cond_batch_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_cfg_function",
)


class UnetConfig(dict):
    """The settings of a U-Net of Stable Diffusion as other nodes look for them; ours has others."""

    def __missing__(self, key: str):
        raise ValueError(
            f"This node patches the {key} of Stable Diffusion U-Nets, which EchoMimicV2 does not have: remove it "
            "from the MODEL's path (docs/compatibility.md lists the nodes that work)."
        )

    def copy(self):
        return UnetConfig(self)


def origin(function) -> str:
    """The file that a function comes from, without folders and ending."""
    module = getattr(function, "__module__", None) or type(function).__module__
    return re.split(r"[./\\]", module)[-1]  # ComfyUI names the modules of its extra nodes by their paths.


def named(file: str) -> str:
    return NODES.get(file, file)


def hooks(model_options: dict) -> Iterator:
    """Functions that take part in guidance."""
    for kind in GUIDANCE_HOOKS:
        found = model_options.get(kind) or []
        yield from found if isinstance(found, list) else [found]


def unread_patches(patcher) -> set[str]:
    """Files whose patches of the network's inside are read by nobody: our network has no places for them."""
    options = patcher.model_options.get("transformer_options", {})
    functions = [function for found in options.get("patches", {}).values() for function in found]
    functions += [function for found in options.get("patches_replace", {}).values() for function in found.values()]
    wrappers = {**getattr(patcher, "wrappers", {}), **options.get("wrappers", {})}
    for found in wrappers.get("diffusion_model", {}).values():
        functions += found
    return {origin(function) for function in functions}


def check_patches(patcher, sampling, own_sampling: type, own_windows: type) -> None:
    """Look at what other nodes have done to a MODEL before a run, and say at the node what has no effect.

    sampling, own_sampling : the noise schedule that is used, and the class of ours.
    own_windows : the class of our context windows.

    Raises
    ------
    ValueError : something that cannot work.
    """
    options = patcher.model_options
    windows = options.get("context_handler")
    if windows is not None and not isinstance(windows, own_windows):
        raise ValueError(
            "Another node's context windows are on this MODEL, but EchoMimicV2 divides clips itself: remove the "
            "Context Windows node, and use context_frames and context_overlap of the sampler or of APDH Conditioning."
        )
    if not isinstance(sampling, own_sampling):
        raise ValueError(
            "Another node has replaced the noise schedule of this MODEL, but EchoMimicV2 was trained with its own "
            f"and gives noise with any other: remove the node that set {type(sampling).__name__} (ModelSampling …)."
        )
    for function in hooks(options):
        for file, part, why in BREAKING_GUIDANCE:
            if origin(function) == file and part in getattr(function, "__qualname__", ""):
                raise ValueError(f"{named(file)} {why}: remove it from the MODEL's path.")
    idle = unread_patches(patcher) | {origin(function) for function in hooks(options)} & set(IDLE_GUIDANCE)
    if idle:
        more = " LazyCache does what EasyCache would, and works." if "nodes_easycache" in idle else ""
        warn(
            f"{', '.join(sorted(map(named, idle)))}: no effect on EchoMimicV2, whose network does not support "
            f"this patch; the clip is generated without it.{more}"
        )

"""The original's own U-Net: PYTHON -m benchmarks.beside.theirs FOLDER DEVICE DTYPE, in a Python with what it needs.

Where there is no CUDA, its file that asks for it is read as if it asked for the processor and float32.
"""

import importlib.machinery
import sys
from pathlib import Path

import torch

from benchmarks.beside.window import GUIDANCE, TIMESTEP, block_names, fill, inputs, serve
from echomimic_core.config import CONTEXT_FRAMES, RELEASED

ASKS_FOR_CUDA = "mutual_self_attention.py"
# Of Stable Diffusion 1.5's configuration, which comes with the weights and not with the code.
LAYOUT = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "center_input_sample": False, "flip_sin_to_cos": True,
    "freq_shift": 0, "block_out_channels": RELEASED.block_out_channels, "layers_per_block": 2, "downsample_padding": 1,
    "mid_block_scale_factor": 1, "act_fn": "silu", "norm_num_groups": 32, "norm_eps": 1e-5, "attention_head_dim": 8,
    "down_block_types": ("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "up_block_types": ("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
}  # fmt: skip


class ForTheProcessor(importlib.machinery.SourceFileLoader):
    """Reads the original's files, that one as the processor needs it."""

    def get_data(self, path: str) -> bytes:
        data = super().get_data(path)
        if path.endswith(ASKS_FOR_CUDA):
            data = data.replace(b'torch.device("cuda")', b'torch.device("cpu")').replace(
                b"torch.float16", b"torch.float32"
            )
        return data

    def cache_from_source(self, path: str) -> None:
        return None


def main(folder: str, device: str, dtype: str) -> None:
    if device == "cpu":

        def finder(path: str) -> importlib.machinery.FileFinder:
            if not path.startswith(folder):
                raise ImportError("not of the original")
            return importlib.machinery.FileFinder(path, (ForTheProcessor, importlib.machinery.SOURCE_SUFFIXES))

        sys.path_hooks.insert(0, finder)
    sys.path.insert(0, folder)
    from omegaconf import OmegaConf
    from src.models.mutual_self_attention import ReferenceAttentionControl
    from src.models.unet_3d_emo import EMOUNet3DConditionModel

    kind = getattr(torch, dtype)
    more = OmegaConf.load(Path(folder) / "configs" / "inference" / "inference_v2.yaml").unet_additional_kwargs
    unet = fill(EMOUNet3DConditionModel(**(LAYOUT | OmegaConf.to_container(more))), device, kind)
    ReferenceAttentionControl(unet, mode="read", do_classifier_free_guidance=True, batch_size=1, fusion_blocks="full")
    modules = dict(unet.named_modules())
    current = [0]

    def prepare(pixels: int):
        given = inputs(pixels, device, kind)
        latents, pose = (given[name].transpose(0, 1)[None].contiguous() for name in ("latents", "pose"))
        audio, timestep = given["audio"][None], torch.tensor(TIMESTEP, device=device)

        def run() -> torch.Tensor:
            if current[0] != pixels:
                for name in block_names():
                    modules[name].bank = [given["tokens"][name].repeat(2, 1, 1)]
                current[0] = pixels
            # What the original's pipeline does for one window, then guidance.
            twice = latents[:, :, list(range(CONTEXT_FRAMES))].repeat(2, 1, 1, 1, 1)
            heard = torch.cat([torch.zeros_like(audio), audio])
            posed = torch.cat([torch.zeros_like(pose), pose])
            made = unet(
                twice,
                timestep,
                encoder_hidden_states=None,
                audio_cond_fea=heard,
                face_musk_fea=posed,
                return_dict=False,
            )
            plain, conditional = made[0].chunk(2)
            return (plain + GUIDANCE * (conditional - plain))[0].transpose(0, 1)

        return run

    serve("original", device, prepare)


if __name__ == "__main__":
    main(*sys.argv[1:])

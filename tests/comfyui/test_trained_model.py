"""What training writes, in a real ComfyUI: a checkpoint through Loader and Sampler, a LoRA through core's loader."""

import shutil

import pytest
import torch
import yaml
from comfy_workflow import change
from prompts import SIZE, small
from safetensors.torch import load_file
from tiny_models import MODEL_NAME

from echomimic_core.models.build import build, config_of

pytest.importorskip("accelerate")
pytest.importorskip("diffusers")
pytest.importorskip("peft")

import training_clips as clips  # noqa: E402

FRAMES = 4


def train(comfy, folder, **sections):
    """A short run that starts from the server's tiny model; the folder of its checkpoint."""
    from echomimic_core.training.run.loop import Trainer
    from echomimic_core.training.settings import load_settings

    tiny = str(comfy.base / "models" / "echomimic" / MODEL_NAME)
    content = {
        "output": str(folder / "run"),
        "model": "tiny",
        "vae": str(clips.write_vae(folder / "vae.safetensors")),
        "data": {"folders": [str(clips.two_clips(folder / "clips", frames=6))], "size": 64, "frames": 2, "workers": 0},
        "init": {"source": "one_file", "file": tiny},
        "train": {"stage": 2, "steps": 2, "ema_decay": 0.0, "gradient_checkpointing": False},
        "optimizer": {"learning_rate": 1e-3, "warmup_steps": 0},
        "apdh": {"phases": [{"name": "body", "steps": 1, "keypoints": ["hands"], "audio": "body"}]},
        "loss": {"pose": 0, "detail": 0, "low": 0},
        "checkpoint": {"audio_encoder": tiny},
        "validation": {"every": 0},
    } | sections
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return Trainer(load_settings(path)).run()


def latents_of(comfy, prompt):
    """The latents that the EchoMimicV2 Sampler of a prompt makes."""
    (sampler,) = (id for id, node in prompt.items() if node["class_type"] == "EchoMimicV2Sampler")
    kept = {id: node for id, node in prompt.items() if node["class_type"] not in ("SaveVideo",)}
    kept["latent"] = {"class_type": "SaveLatent", "inputs": {"samples": [sampler, 0], "filename_prefix": "trained"}}
    (path,) = (file for file in comfy.outputs(comfy.run(kept)) if file.suffix == ".latent")
    return load_file(path)["latent_tensor"]


def test_a_trained_checkpoint_goes_through_loader_and_sampler(comfy, object_info, tmp_path):
    checkpoint = train(comfy, tmp_path)
    shutil.copy(checkpoint / "echomimicv2.safetensors", comfy.base / "models" / "echomimic" / "trained.safetensors")
    prompt = small("talking_picture", object_info, frames=FRAMES)
    before = latents_of(comfy, prompt)
    after = latents_of(comfy, change(prompt, "EchoMimicV2Loader", model="trained.safetensors"))
    assert after.shape == before.shape == (FRAMES, 4, SIZE // 8, SIZE // 8)
    assert after.isfinite().all() and not torch.equal(after, before)


def test_a_trained_lora_goes_through_core_s_loader(comfy, object_info, tmp_path):
    checkpoint = train(comfy, tmp_path, lora={"rank": 4, "alpha": 4}, optimizer={"learning_rate": 1e-2})
    (comfy.base / "models" / "loras").mkdir(exist_ok=True)
    shutil.copy(checkpoint / "lora.safetensors", comfy.base / "models" / "loras" / "person.safetensors")
    prompt = small("talking_picture", object_info, frames=FRAMES)
    plain = latents_of(comfy, prompt)
    (loader,) = (id for id, node in prompt.items() if node["class_type"] == "EchoMimicV2Loader")
    change(prompt, "EchoMimicV2Sampler", model=["lora", 0])
    prompt["lora"] = {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"model": [loader, 0], "lora_name": "person.safetensors", "strength_model": 1.0},
    }
    shown = len(comfy.log_text())
    with_lora = latents_of(comfy, prompt)
    assert "lora key not loaded" not in comfy.log_text()[shown:]
    assert not torch.equal(with_lora, plain)
    prompt["lora"]["inputs"]["strength_model"] = 0.0
    assert torch.equal(latents_of(comfy, prompt), plain)


def test_adapters_do_in_comfyui_what_they_did_in_training(comfy, tmp_path):
    """Merged by ComfyUI's rule, weight + alpha / rank * B A, the plain networks compute what peft's did."""
    from echomimic_core.files.checkpoints import open_one_file
    from echomimic_core.training.model.initialise import build_model
    from echomimic_core.training.model.lora import add_lora
    from echomimic_core.training.settings import Settings, parse

    checkpoint = train(comfy, tmp_path, lora={"rank": 4, "alpha": 8}, optimizer={"learning_rate": 1e-2})
    tensors = load_file(checkpoint / "lora.safetensors")
    tiny = comfy.base / "models" / "echomimic" / MODEL_NAME
    settings = parse(
        Settings,
        {"model": "tiny", "init": {"source": "one_file", "file": str(tiny)}, "lora": {"rank": 4, "alpha": 8}},
    )
    adapted = build_model(settings)
    add_lora(adapted, settings.lora)
    trained = load_file(checkpoint / "state" / "trained.safetensors")
    missing = adapted.load_state_dict(trained, strict=False)
    assert not missing.unexpected_keys
    files = open_one_file(tiny)
    merged = build(files, "denoising_unet", config_of(files), torch.float32)
    for name, down in tensors.items():
        if not name.endswith(".lora_A.weight"):
            continue
        layer = name.removesuffix(".lora_A.weight")
        change_ = tensors[f"{layer}.lora_B.weight"].float() @ down.float() * (tensors[f"{layer}.alpha"].item() / 4)
        merged.get_submodule(layer.removeprefix("diffusion_model.denoising_unet.")).weight.data += change_
    from echomimic_core.models.context import WindowContext

    x, at = torch.randn(2, 4, 8, 8), torch.tensor([500.0])
    with torch.no_grad():
        ours, theirs = (net(x, at, WindowContext(frames=2)) for net in (merged, adapted.denoising_unet))
    assert (ours - theirs).abs().max() < 2e-2 * theirs.abs().max()

"""The networks in training: dropped conditions, what is trained, averages, starts, exports, LoRA."""

import dataclasses

import pytest
import torch
import training_clips as clips

from echomimic_core.files.checkpoints import CheckpointError, find_released, open_one_file
from echomimic_core.models.build import build, config_of
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.sampling.clip import ClipConditions, PackedAudio
from echomimic_core.sampling.denoiser import ClipDenoiser, Halves
from echomimic_core.training.model.ema import EMA
from echomimic_core.training.model.initialise import build_model
from echomimic_core.training.model.networks import PARTS, Conditions, TrainingModel, part_of
from echomimic_core.training.run.checkpoint import export
from echomimic_core.training.settings import Settings, SettingsError, parse

FRAMES, CELLS = 3, 8


def settings(**changes):
    return parse(Settings, {"model": dataclasses.asdict(clips.MICRO)} | changes)


@pytest.fixture(scope="module")
def model():
    """Networks in which everything has an effect: the zeros that training starts from are replaced."""
    made = build_model(settings())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def inputs(count, seed=0, dropped=None):
    generator = torch.Generator().manual_seed(seed)
    conditions = Conditions(
        reference=torch.randn(count, 4, CELLS, CELLS, generator=generator),
        dropped=torch.tensor(dropped or [False] * count),
        pose_maps=torch.rand(count, FRAMES, 3, 8 * CELLS, 8 * CELLS, generator=generator),
        audio=torch.randn(count, FRAMES, 50, 384, generator=generator),
        audio_mask=torch.ones(count, CELLS, CELLS),
    )
    noisy = torch.randn(count, FRAMES, 4, CELLS, CELLS, generator=generator)
    return noisy, torch.randint(0, 1000, (count,), generator=generator), conditions


def clip_of(conditions, index):
    """A clip's conditions as sampling has them."""
    return {
        "audio": PackedAudio(conditions.audio[index]),
        "pose_maps": lambda frames: conditions.pose_maps[index][frames],
        "audio_mask": conditions.audio_mask[index][None],
    }


@torch.no_grad()
def test_training_computes_what_sampling_computes(model):
    """Dropped clips are the unconditional half of guidance, the others the conditional one, in any order."""
    noisy, timesteps, conditions = inputs(4, dropped=[False, True, False, True])
    velocity = model(noisy, timesteps, conditions)
    denoiser = ClipDenoiser(model.denoising_unet, model.pose_encoder)
    window = [list(range(FRAMES))]
    for index in range(4):
        tokens = model.reference_unet(conditions.reference[index][None])
        clip = ClipConditions(ReferenceFeatures(tokens, CELLS, CELLS), **clip_of(conditions, index))
        prepared = denoiser.prepare(clip, torch.device("cpu"), torch.float32)
        plain, conditional = denoiser.predict(noisy[index], float(timesteps[index]), window, Halves(prepared, True))
        expected = plain if conditions.dropped[index] else conditional
        assert torch.allclose(velocity[index], expected, atol=2e-5), index
        assert not torch.allclose(plain, conditional, atol=1e-2)


@torch.no_grad()
def test_audio_attention_adds_exactly_nothing_outside_the_mask_at_every_level(model):
    """What every audio attention puts out for cells beyond the mask is what it puts out for silence: its bias."""
    noisy, timesteps, conditions = inputs(2)
    conditions.audio_mask = torch.zeros(2, CELLS, CELLS)
    conditions.audio_mask[:, 1:3, 5:7] = 1.0
    heard = {}

    def listen(layer, given, output):
        if len(output) > 1:  # One sample of one token is the silence that each block begins with
            heard.setdefault(output.shape[1], []).append((output - layer.bias).abs().sum(-1))

    layers = [module.attn2.to_out[0] for module in model.denoising_unet.modules() if hasattr(module, "attn2")]
    hooks = [layer.register_forward_hook(listen) for layer in layers]
    model(noisy, timesteps, conditions)
    for hook in hooks:
        hook.remove()
    assert sum(map(len, heard.values())) == len(layers)
    assert set(heard) == {64, 16, 4, 1}
    for tokens, added in heard.items():
        side = round(tokens**0.5)
        mask = torch.nn.functional.adaptive_max_pool2d(conditions.audio_mask, (side, side)).flatten(1) > 0
        mask = mask.repeat_interleave(FRAMES, 0)
        for each in added:
            assert (each[mask] > 0).all() and (each[~mask] == 0).all()


@torch.no_grad()
def test_a_dropped_clip_depends_on_none_of_its_conditions(model):
    noisy, timesteps, conditions = inputs(2, dropped=[True, False])
    _, _, others = inputs(2, seed=5, dropped=[True, False])
    mixed = dataclasses.replace(
        conditions,
        **{
            name: torch.cat([getattr(others, name)[:1], getattr(conditions, name)[1:]])
            for name in ("reference", "pose_maps", "audio")
        },
    )
    assert torch.equal(model(noisy, timesteps, conditions), model(noisy, timesteps, mixed))


@torch.no_grad()
def test_all_clips_may_be_dropped(model):
    noisy, timesteps, conditions = inputs(2, dropped=[True, True])
    together = model(noisy, timesteps, conditions)
    assert together.shape == noisy.shape and together.isfinite().all()


@torch.no_grad()
def test_a_dropped_pose_is_no_pose(model):
    noisy, timesteps, conditions = inputs(2)
    conditions.pose_kept = torch.tensor([False, True])
    velocity = model(noisy, timesteps, conditions)
    without = model(noisy, timesteps, dataclasses.replace(conditions, pose_maps=None, pose_kept=None))
    with_both = model(noisy, timesteps, dataclasses.replace(conditions, pose_kept=None))
    assert torch.equal(velocity[0], without[0]) and torch.equal(velocity[1], with_both[1])
    assert not torch.allclose(velocity[0], with_both[0], atol=1e-3)


@torch.no_grad()
def test_a_dropped_picture_is_no_reference_and_leaves_pose_and_audio(model):
    noisy, timesteps, conditions = inputs(3, dropped=[False, False, True])
    lacking = dataclasses.replace(conditions, picture_kept=torch.tensor([False, True, False]))
    velocity, whole = model(noisy, timesteps, lacking), model(noisy, timesteps, conditions)
    assert torch.allclose(velocity[1:], whole[1:], atol=1e-5)
    assert not torch.allclose(velocity[0], whole[0], atol=1e-3)
    bare = model.predict(noisy[:1], timesteps[:1], dataclasses.replace(lacking.take(slice(0, 1)), reference=None))
    assert torch.allclose(velocity[:1], bare, atol=1e-6)
    for name in ("pose_maps", "audio"):
        others = dataclasses.replace(lacking, **{name: getattr(lacking, name).flip(0)})
        assert not torch.allclose(model(noisy, timesteps, others)[0], velocity[0], atol=1e-5), name
    other_picture = dataclasses.replace(lacking, reference=lacking.reference.flip(0))
    assert torch.allclose(model(noisy, timesteps, other_picture)[0], velocity[0], atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("masked", [True, False])
def test_dropped_audio_is_silence_and_leaves_the_others(model, masked):
    noisy, timesteps, conditions = inputs(2)
    if not masked:
        conditions.audio_mask = None
    lacking = dataclasses.replace(conditions, audio_kept=torch.tensor([False, True]))
    velocity = model(noisy, timesteps, lacking)
    silent = model(noisy, timesteps, dataclasses.replace(conditions, audio=None))
    whole = model(noisy, timesteps, conditions)
    assert torch.allclose(velocity[0], silent[0], atol=1e-5) and torch.allclose(velocity[1], whole[1], atol=1e-5)
    assert not torch.allclose(whole[0], silent[0], atol=1e-3)


def test_a_gradient_passes_where_some_or_all_lack_their_picture():
    made = build_model(settings())
    for kept in ([False, True], [False, False]):
        made.zero_grad()
        noisy, timesteps, conditions = inputs(2)
        conditions.picture_kept = torch.tensor(kept)
        made(noisy, timesteps, conditions).square().mean().backward()
        assert all(parameter.grad is not None for parameter in made.parameters())
        assert made.denoising_unet.conv_in.weight.grad.any()


@torch.no_grad()
def test_each_clip_sees_its_own_reference(model):
    noisy, timesteps, conditions = inputs(2)
    both = model(noisy, timesteps, conditions)
    swapped = dataclasses.replace(conditions, reference=conditions.reference.flip(0))
    other = model(noisy, timesteps, swapped)
    assert not torch.allclose(both[0], other[0], atol=1e-3)


def test_gradient_checkpointing_changes_no_gradient(model):
    def gradients():
        model.zero_grad()
        noisy, timesteps, conditions = inputs(2, dropped=[False, True])
        model(noisy, timesteps, conditions).square().mean().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters()}

    plain = gradients()
    model.set_gradient_checkpointing(True)
    checkpointed = gradients()
    model.set_gradient_checkpointing(False)
    model.zero_grad()
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-6) for name in plain)
    # The reference U-Net's last feed-forward has no part in the result
    silent = {name for name, gradient in plain.items() if not gradient.any()}
    assert all(name.startswith("reference_unet") for name in silent)


def test_every_trained_parameter_gets_a_gradient_even_when_all_is_dropped():
    made = build_model(settings())
    noisy, timesteps, conditions = inputs(1, dropped=[True])
    made(noisy, timesteps, conditions).square().mean().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_parts_divide_the_networks_and_train_alone():
    made = build_model(settings())
    names = [name for name, _ in made.named_parameters()]
    assert {part_of(name) for name in names} == set(PARTS)
    trained = made.train_parts(["motion_modules", "audio_attention"])
    assert trained and all("motion_modules" in n or ".attn2." in n or ".norm2." in n for n in trained)
    assert not any("resnets" in name for name in trained)
    noisy, timesteps, conditions = inputs(2)
    made(noisy, timesteps, conditions).square().mean().backward()
    assert {name for name, p in made.named_parameters() if p.grad is not None} == set(trained)


@torch.no_grad()
def test_stage_1_passes_motion_modules_by(model):
    noisy, timesteps, conditions = inputs(1)
    with_motion = model(noisy, timesteps, conditions)
    model.set_motion(False)
    without = model(noisy, timesteps, conditions)
    order = torch.tensor([2, 0, 1])
    turned = dataclasses.replace(conditions, pose_maps=conditions.pose_maps[:, order], audio=conditions.audio[:, order])
    moved = model(noisy[:, order], timesteps, turned)
    model.set_motion(True)
    assert not torch.allclose(with_motion, without, atol=1e-3)
    assert torch.allclose(moved, without[:, order], atol=1e-5)


def test_from_nothing_audio_motion_and_pose_begin_as_no_change():
    made = build_model(settings()).eval()
    noisy, timesteps, conditions = inputs(1)
    bare = dataclasses.replace(conditions, audio=None, pose_maps=None)
    with torch.no_grad():
        assert torch.equal(made(noisy, timesteps, conditions), made(noisy, timesteps, bare))


def test_from_nothing_both_networks_begin_alike():
    made = build_model(settings())
    twins = dict(made.denoising_unet.named_parameters())
    alike = [name for name, value in made.reference_unet.named_parameters() if torch.equal(value, twins[name])]
    assert len(alike) == len(list(made.reference_unet.parameters()))


def test_the_same_seed_starts_the_same():
    one, two, other = (build_model(settings(seed=seed)) for seed in (3, 3, 4))
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_averages_follow_slowly_and_step_aside(model):
    made = TrainingModel(dict(build_model(settings()).named_children()))
    ema = EMA(made, 0.9)
    first = made.pose_encoder.conv_in.bias.detach().clone()
    with torch.no_grad():
        made.pose_encoder.conv_in.bias += 1.0
    ema.update(made, step=1000)
    assert torch.allclose(ema.shadow["pose_encoder.conv_in.bias"], first + 0.1, atol=1e-6)
    with ema.in_place(made):
        assert torch.allclose(made.pose_encoder.conv_in.bias, first + 0.1, atol=1e-6)
    assert torch.allclose(made.pose_encoder.conv_in.bias, first + 1.0)


def test_exports_are_read_as_any_other_model_and_continue_training(tmp_path, model):
    options = settings(data={"size": 512}, checkpoint={"formats": ["one_file", "released"], "dtype": "float32"})
    one_file, released = export(tmp_path, model, options, step=7)
    assert sorted(path.name for path in released.iterdir()) == [
        "denoising_unet.pth",
        "motion_module.pth",
        "pose_encoder.pth",
        "reference_unet.pth",
    ]
    denoiser = torch.load(released / "denoising_unet.pth", weights_only=True)
    assert not any("motion_modules" in name for name in denoiser)
    files = open_one_file(one_file)
    assert config_of(files) == clips.MICRO and files.size == 512
    again = build_model(settings(init={"source": "one_file", "file": str(one_file)}))
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in again.parameters())
    found = find_released([released], "standard")
    rebuilt = build(found, "denoising_unet", clips.MICRO, torch.float32).state_dict()
    assert all(torch.equal(value, rebuilt[name]) for name, value in model.denoising_unet.state_dict().items())


@pytest.mark.parametrize("inside", [True, False])
def test_an_export_has_the_vae_inside_that_was_inside_the_file_it_was_trained_with(tmp_path, model, inside):
    from echomimic_core.files.checkpoints import VAE, save_one_file, write_tensors
    from echomimic_core.files.vae import inside as vae_inside

    weights = {
        "taesd_encoder.0.weight": torch.randn(64, 3, 3, 3),
        "taesd_decoder.1.weight": torch.randn(64, 4, 3, 3),
    }
    path = tmp_path / "before.safetensors"
    if inside:
        save_one_file(path, {VAE: weights}, "standard", clips.MICRO)
    else:
        write_tensors(path, weights)
    (exported,) = export(tmp_path, model, settings(vae=str(path)), step=7)
    assert (VAE in open_one_file(exported).networks) == inside
    if inside:
        file, prefix = vae_inside(exported)
        kept = file.state_dict(prefix)
        assert kept.keys() == weights.keys() and all(torch.equal(kept[name], weights[name]) for name in weights)


def test_training_goes_on_from_released_files(tmp_path):
    from echomimic_core.config import TINY

    start = settings(model="tiny", checkpoint={"formats": ["released"], "dtype": "float32"})
    made = build_model(start)
    assert made.config == TINY
    (released,) = export(tmp_path, made, start, step=0)
    again = build_model(settings(model="tiny", init={"source": "released", "folder": str(released)}))
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())


def sd15_files(folder, model):
    """Files in the layouts of SD 1.5 (its cross-attention listens to 768 channels) and AnimateDiff."""
    from safetensors.torch import save_file

    unet, motion = {}, {}
    for name, value in model.denoising_unet.state_dict().items():
        if ".motion_modules." in name:
            motion[f"module.{name}"] = value + 1
        elif ".attn2.to_k" in name or ".attn2.to_v" in name:
            unet[name] = torch.zeros(value.shape[0], 768)
        else:
            unet[name] = value + 1
    save_file(unet, folder / "unet.safetensors")
    motion["module.down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.pos_encoder.pe"] = (
        torch.zeros(1)
    )
    torch.save({"state_dict": motion}, folder / "mm.ckpt")
    return {"source": "sd15", "unet": str(folder / "unet.safetensors"), "motion": str(folder / "mm.ckpt")}


def test_sd15_and_animatediff_fill_everything_but_audio_and_pose(tmp_path, model):
    init = sd15_files(tmp_path, model)
    made = build_model(settings(init=init)).state_dict()
    source = model.denoising_unet.state_dict()
    for name, value in made.items():
        network, _, inner = name.partition(".")
        part = part_of(name)
        if part in ("denoising_unet", "motion_modules", "reference_unet"):
            assert torch.equal(value, source[inner] + 1), name
    assert not any(value.any() for name, value in made.items() if ".attn2.to_out.0" in name)


def test_motion_modules_that_fill_only_a_part_are_counted(tmp_path, model, caplog):
    init = sd15_files(tmp_path, model)
    build_model(settings(init=init))
    assert "tensors of the motion modules" not in caplog.text
    motion = torch.load(init["motion"], weights_only=True)["state_dict"]
    part = {name: value for name, value in motion.items() if "mid_block" not in name}
    torch.save({"state_dict": part}, init["motion"])
    build_model(settings(init=init))
    whole = sum(part_of(name) == "motion_modules" for name, _ in model.named_parameters())
    lacking = sum(part_of(n) == "motion_modules" and "mid_block" in n for n, _ in model.named_parameters())
    assert lacking and f"filled {whole - lacking} of {whole} tensors of the motion modules" in caplog.text


def test_a_start_that_is_not_there_is_a_sentence(tmp_path, model):
    with pytest.raises(SettingsError, match="init.unet is not set"):
        build_model(settings(init={"source": "sd15"}))
    with pytest.raises(SettingsError, match="init.folder is not set"):
        build_model(settings(init={"source": "released"}))
    with pytest.raises(CheckpointError, match="denoising U-Net of the standard model is missing"):
        build_model(settings(init={"source": "released", "folder": str(tmp_path)}))
    init = sd15_files(tmp_path, model)
    with pytest.raises(CheckpointError, match="is not SD 1.5's U-Net"):
        build_model(settings(init=init | {"unet": init["motion"]}))
    with pytest.raises(CheckpointError, match="contains no motion modules of AnimateDiff"):
        build_model(settings(init=init | {"motion": init["unet"]}))


def test_lora_trains_adapters_alone_under_the_names_comfyui_looks_for(tmp_path):
    pytest.importorskip("peft")
    from safetensors.torch import load_file

    from echomimic_core.training.model.lora import add_lora

    options = settings(lora={"rank": 4, "alpha": 8})
    made = build_model(options)
    layers = {name for name, _ in made.denoising_unet.named_modules()}
    noisy, timesteps, conditions = inputs(1)
    before = made(noisy, timesteps, conditions).detach()
    trained = add_lora(made, options.lora)
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    assert torch.allclose(made(noisy, timesteps, conditions), before, atol=1e-6)
    (path,) = export(tmp_path, made, options, step=1)
    tensors = load_file(path)
    assert len(tensors) == len(trained) * 3 // 2
    for name, value in tensors.items():
        prefix, _, rest = name.partition("diffusion_model.denoising_unet.")
        layer = rest.removesuffix(".alpha").removesuffix(".weight").removesuffix(".lora_A").removesuffix(".lora_B")
        assert prefix == "" and layer in layers
        assert not name.endswith(".alpha") or value == 8.0
    targets = {part for name in tensors for part in ("attn1", "attn2", "motion_modules") if part in name}
    assert targets == {"attn1", "attn2", "motion_modules"}

"""The encoder returns Whisper's five states, from every layout its weights come in."""

import math

import pytest
import torch
import torch.nn.functional as F

from echomimic_core.models.audio_encoder import build_audio_encoder

WIDTH, BLOCKS, MELS, POSITIONS = 128, 2, 80, 1500
SMALL = {"audio_dim": WIDTH, "audio_states": BLOCKS + 1}


def openai_weights(width=WIDTH, blocks=BLOCKS, mels=MELS) -> dict[str, torch.Tensor]:
    """A seeded small Whisper encoder in OpenAI's layout, without position table."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]) or 1)

    weights = {
        "conv1.weight": draw(width, mels, 3),
        "conv1.bias": 0.1 * draw(width),
        "conv2.weight": draw(width, width, 3),
        "conv2.bias": 0.1 * draw(width),
        "ln_post.weight": draw(width),
        "ln_post.bias": draw(width),
    }
    for index in range(blocks):
        block = f"blocks.{index}"
        for name in ("query", "key", "value", "out"):
            weights[f"{block}.attn.{name}.weight"] = draw(width, width)
            if name != "key":
                weights[f"{block}.attn.{name}.bias"] = 0.1 * draw(width)
        for name in ("attn_ln", "mlp_ln"):
            weights[f"{block}.{name}.weight"] = 1 + 0.1 * draw(width)
            weights[f"{block}.{name}.bias"] = 0.1 * draw(width)
        weights[f"{block}.mlp.0.weight"], weights[f"{block}.mlp.0.bias"] = draw(4 * width, width), draw(4 * width)
        weights[f"{block}.mlp.2.weight"], weights[f"{block}.mlp.2.bias"] = draw(width, 4 * width), draw(width)
    return weights


def whisper_states(weights: dict[str, torch.Tensor], mel: torch.Tensor) -> torch.Tensor:
    """The states by Whisper's definition, written out: (positions, blocks + 1, width)."""
    width = weights["conv1.weight"].shape[0]
    x = F.gelu(F.conv1d(mel, weights["conv1.weight"], weights["conv1.bias"], padding=1))
    x = F.gelu(F.conv1d(x, weights["conv2.weight"], weights["conv2.bias"], stride=2, padding=1))[0].T
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(len(x))[:, None] * rates
    x = x + torch.cat([angles.sin(), angles.cos()], dim=1)
    states = [x]
    for index in range(BLOCKS):

        def linear(x, name, block=f"blocks.{index}."):
            return F.linear(x, weights[block + name + ".weight"], weights.get(block + name + ".bias"))

        def norm(x, name, block=f"blocks.{index}."):
            return F.layer_norm(x, (width,), weights[block + name + ".weight"], weights[block + name + ".bias"])

        y = norm(x, "attn_ln")
        q, k, v = (linear(y, f"attn.{n}").view(len(y), -1, 64).transpose(0, 1) for n in ("query", "key", "value"))
        y = (q @ k.transpose(1, 2) / 8).softmax(dim=-1) @ v
        x = x + linear(y.transpose(0, 1).flatten(1), "attn.out")
        x = x + linear(F.gelu(linear(norm(x, "mlp_ln"), "mlp.0")), "mlp.2")
        states.append(x)
    return torch.stack(states, dim=1)


@pytest.fixture(scope="module")
def mel():
    return torch.randn(1, MELS, 2 * POSITIONS, generator=torch.Generator().manual_seed(6))


def to_transformers(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {
        "blocks.": "layers.",
        ".attn.query": ".self_attn.q_proj",
        ".attn.key": ".self_attn.k_proj",
        ".attn.value": ".self_attn.v_proj",
        ".attn.out": ".self_attn.out_proj",
        ".attn_ln": ".self_attn_layer_norm",
        ".mlp.0": ".fc1",
        ".mlp.2": ".fc2",
        ".mlp_ln": ".final_layer_norm",
        "ln_post": "layer_norm",
    }
    result = {}
    for name, tensor in weights.items():
        for old, new in names.items():
            name = name.replace(old, new)
        result[name] = tensor
    return result


def test_states_are_those_of_whispers_definition(mel):
    weights = openai_weights()
    states = build_audio_encoder(weights, **SMALL)(mel)
    assert states.shape == (POSITIONS, BLOCKS + 1, WIDTH)
    assert torch.allclose(states, whisper_states(weights, mel), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder.", "audio_encoder.encoder."])
@pytest.mark.parametrize("layout", [dict, to_transformers], ids=["openai", "transformers"])
def test_every_layout_gives_the_same_states(layout, prefix, mel):
    weights = openai_weights()
    decoder = {"decoder.blocks.0.attn.query.weight": torch.zeros(3, 3), "decoder.ln.bias": torch.zeros(3)}
    others = {f"unet.conv{n}.{part}": torch.zeros(3, 3, 3, 3) for n in (1, 2) for part in ("weight", "bias")}
    prefixed = others | {prefix + name: tensor for name, tensor in layout(weights).items()} | decoder
    assert torch.equal(build_audio_encoder(prefixed, **SMALL)(mel), build_audio_encoder(weights, **SMALL)(mel))


def test_openais_file_with_its_dimensions_beside_the_weights_is_read(mel):
    weights = openai_weights()
    model = build_audio_encoder({"dims": {"n_mels": 80}, "model_state_dict": weights}, **SMALL)
    assert torch.equal(model(mel), build_audio_encoder(weights, **SMALL)(mel))


def test_a_saved_encoder_loads_again(mel):
    model = build_audio_encoder(openai_weights(), **SMALL)
    assert torch.equal(build_audio_encoder(model.state_dict(), **SMALL)(mel), model(mel))


def test_the_position_table_of_the_file_is_used(mel):
    weights = openai_weights()
    with_table = weights | {"positional_embedding": torch.ones(POSITIONS, WIDTH)}
    states, other = build_audio_encoder(weights, **SMALL)(mel), build_audio_encoder(with_table, **SMALL)(mel)
    assert not torch.allclose(states[:, 0], other[:, 0])


def test_half_precision_files_become_float32_and_any_dtype_can_run(mel):
    halves = {name: tensor.half() for name, tensor in openai_weights().items()}
    model = build_audio_encoder(halves, **SMALL)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    reference = model(mel)
    low = build_audio_encoder(halves, dtype=torch.bfloat16, **SMALL)(mel)
    assert low.dtype == torch.bfloat16
    assert (low.float() - reference).norm() < 0.02 * reference.norm()


def test_building_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build_audio_encoder(openai_weights(), **SMALL)
    assert torch.rand(1) == expected


def test_the_encoder_is_frozen():
    model = build_audio_encoder(openai_weights(), **SMALL)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_another_size_of_whisper_is_refused_by_its_name():
    base = openai_weights(width=512, blocks=6)
    with pytest.raises(ValueError, match="Whisper base of width 512 with 6 blocks .* tiny.pt"):
        build_audio_encoder(base)
    with pytest.raises(ValueError, match="128 mel bins"):
        build_audio_encoder(openai_weights(mels=128), **SMALL)


def test_what_is_not_whisper_is_refused():
    for foreign in (
        {"conv_in.weight": torch.zeros(3)},
        {},
        {"conv1.weight": torch.zeros(64, 3, 7, 7), "conv1.bias": torch.zeros(64), "conv2.weight": torch.zeros(3)},
    ):
        with pytest.raises(ValueError, match="not a Whisper model"):
            build_audio_encoder(foreign)


def test_a_missing_parameter_is_named():
    weights = openai_weights()
    del weights["blocks.1.attn.out.bias"]
    with pytest.raises(ValueError, match=r"layers.1.self_attn.out_proj.bias.*incomplete"):
        build_audio_encoder(weights, **SMALL)


def test_a_misshapen_parameter_is_named():
    weights = openai_weights() | {"blocks.0.mlp_ln.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match=r"layers.0.final_layer_norm.bias .* \(7,\) instead of \(128,\)"):
        build_audio_encoder(weights, **SMALL)

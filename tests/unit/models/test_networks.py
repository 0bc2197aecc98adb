"""The networks' invariants; that their numbers are the original's is for tests/parity."""

import pytest
import torch
from tiny import network, reference, relative_error

from echomimic_core.config import RELEASED, TINY, ModelConfig
from echomimic_core.models.context import WindowContext, spread
from echomimic_core.models.denoising_unet import DenoisingUNet
from echomimic_core.models.motion import frame_positions
from echomimic_core.models.pose_encoder import PoseEncoder
from echomimic_core.models.reference_unet import ReferenceUNet
from echomimic_core.models.resnet import timestep_embedding

FRAMES = 3
T = torch.tensor([500.0])


@pytest.fixture(scope="module")
def unet():
    return network("denoising_unet")


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditional(unet, frames: int = FRAMES, seed: int = 0, size: int = 8) -> WindowContext:
    return WindowContext(
        frames,
        reference=unet.project_reference(reference(size, size, seed).tokens),
        audio=unet.project_audio(draw(frames, 50, 384, seed=seed)),
    )


def guided(unet, seed: int = 0) -> WindowContext:
    context = conditional(unet, seed=seed)
    context.unconditional = FRAMES
    return context


def test_unconditional_half_ignores_audio_reference_and_pose(unet):
    latents = draw(2 * FRAMES, 4, 8, 8)
    pose = draw(FRAMES, 32, 8, 8)
    first = unet(latents, T, guided(unet, 0), pose)
    second = unet(latents, T, guided(unet, 1), -pose)
    assert torch.equal(first[:FRAMES], second[:FRAMES])
    assert relative_error(first[FRAMES:], second[FRAMES:]) > 1e-3


def test_both_halves_together_equal_each_alone(unet):
    latents = draw(FRAMES, 4, 8, 8)
    pose = draw(FRAMES, 32, 8, 8)
    together = unet(torch.cat([latents, latents]), T, guided(unet), pose)
    alone = torch.cat([unet(latents, T, WindowContext(FRAMES)), unet(latents, T, conditional(unet), pose)])
    assert relative_error(together, alone) < 1e-5


def test_unconditional_half_is_zero_audio_through_the_whole_attention(unet):
    latents = draw(FRAMES, 4, 8, 8)
    silent = WindowContext(FRAMES, audio=unet.project_audio(torch.zeros(FRAMES, 50, 384)))
    assert relative_error(unet(latents, T, WindowContext(FRAMES)), unet(latents, T, silent)) < 1e-5


def test_many_windows_equal_one_at_a_time(unet):
    latents = draw(2 * FRAMES, 4, 8, 8)
    context = conditional(unet, 2 * FRAMES)
    context.frames = FRAMES
    together = unet(latents, T, context)
    for window in (slice(0, FRAMES), slice(FRAMES, 2 * FRAMES)):
        one = WindowContext(
            FRAMES, reference=context.reference, audio=[(k[window], v[window]) for k, v in context.audio]
        )
        assert relative_error(together[window], unet(latents[window], T, one)) < 1e-5


def test_clips_with_references_of_their_own_do_not_mix(unet):
    latents = draw(2 * FRAMES, 4, 8, 8)
    maps = [torch.cat(pair) for pair in zip(reference(seed=0).tokens, reference(seed=1).tokens, strict=True)]
    both = WindowContext(FRAMES, reference=unet.project_reference(maps))
    second = WindowContext(FRAMES, reference=unet.project_reference(reference(seed=1).tokens))
    together = unet(latents, T, both)
    assert relative_error(together[FRAMES:], unet(latents[FRAMES:], T, second)) < 1e-5


def test_each_sample_may_have_a_timestep_of_its_own(unet):
    latents = draw(2 * FRAMES, 4, 8, 8)
    timesteps = torch.tensor([900.0, 100.0]).repeat_interleave(FRAMES)
    together = unet(latents, timesteps, WindowContext(FRAMES))
    alone = unet(latents[FRAMES:], torch.tensor([100.0]), WindowContext(FRAMES))
    assert relative_error(together[FRAMES:], alone) < 1e-5


def test_frames_of_a_window_see_each_other_and_other_windows_do_not(unet):
    latents = draw(2 * FRAMES, 4, 8, 8)
    changed = latents.clone()
    changed[0] += 1
    before, after = unet(latents, T, WindowContext(FRAMES)), unet(changed, T, WindowContext(FRAMES))
    assert relative_error(after[2], before[2]) > 1e-4
    assert torch.equal(after[FRAMES:], before[FRAMES:])


def test_order_of_frames_matters(unet):
    latents = draw(FRAMES, 4, 8, 8)
    reordered = unet(latents.flip(0), T, WindowContext(FRAMES)).flip(0)
    assert relative_error(reordered, unet(latents, T, WindowContext(FRAMES))) > 1e-3


@pytest.mark.parametrize("height, width", [(9, 7), (13, 8), (15, 11), (4, 20)])
def test_latents_of_any_size_are_accepted(unet, height, width):
    features = reference(height, width)
    context = WindowContext(2, reference=unet.project_reference(features.tokens))
    out = unet(draw(2, 4, height, width), T, context, draw(2, 32, height, width))
    assert out.shape == (2, 4, height, width) and out.isfinite().all()


def test_gain_of_zero_is_deaf_and_of_one_changes_nothing(unet):
    latents = draw(FRAMES, 4, 8, 8)
    sizes = [(8, 8), (4, 4), (2, 2), (1, 1)]

    def with_gain(value: float) -> torch.Tensor:
        context = conditional(unet)
        context.audio_gain = {(h, w): torch.full((1, h * w, 1), value) for h, w in sizes}
        return unet(latents, T, context)

    deaf = conditional(unet)
    deaf.audio = None
    assert relative_error(with_gain(1.0), unet(latents, T, conditional(unet))) < 1e-6
    assert relative_error(with_gain(0.0), unet(latents, T, deaf)) < 1e-6


def test_reference_tokens_survive_gradient_checkpointing():
    module = network("reference_unet", seed=1)
    latents = draw(1, 4, 8, 8)
    plain = module(latents)
    module.set_gradient_checkpointing()
    with torch.enable_grad():
        latents.requires_grad_()
        tokens = module(latents)
        sum(x.square().sum() for x in tokens).backward()
    assert len(tokens) == len(plain) == 16
    # Without gradients convolutions are computed in another way, which rounds otherwise
    assert max(relative_error(a, b) for a, b in zip(tokens, plain, strict=True)) < 1e-5
    assert latents.grad.abs().sum() > 0


def test_window_longer_than_the_position_table_is_refused():
    with pytest.raises(ValueError, match="40 frames is longer than the 32"):
        frame_positions(40, torch.zeros(1, 64))


def test_reference_of_another_model_is_refused(unet):
    with pytest.raises(ValueError, match="3 token maps"):
        unet.project_reference([torch.zeros(1, 4, 32)] * 3)


def test_every_size_of_the_released_model():
    """Parameter counts follow from the file sizes the original publishes (float32)."""
    with torch.device("meta"):
        unet, reference_unet, pose = DenoisingUNet(RELEASED), ReferenceUNet(RELEASED), PoseEncoder(RELEASED)

    def count(module, motion=None):
        return sum(
            p.numel() for n, p in module.named_parameters() if motion is None or ("motion_modules" in n) is motion
        )

    names = [name for name, _ in unet.named_parameters() if "motion_modules" not in name]
    assert len(names) == 686
    assert abs(4 * count(unet, motion=False) - 3_400_035_733) < 1e6
    assert abs(4 * count(unet, motion=True) - 1.81e9) < 1e7
    assert abs(4 * count(reference_unet) - 3.26e9) < 1e7
    assert abs(4 * count(pose) - 4e6) < 1e6


def test_tiny_is_the_same_architecture():
    with torch.device("meta"):
        tiny, released = DenoisingUNet(TINY), DenoisingUNet(ModelConfig())
    assert [n for n, _ in tiny.named_parameters()] == [n for n, _ in released.named_parameters()]


def test_layers_come_from_the_operations_handed_in():
    made = []

    class Counting:
        pass

    for kind in ("Linear", "Conv2d", "GroupNorm", "LayerNorm"):
        layer = getattr(torch.nn, kind)

        def make(*args, _layer=layer, **kwargs):
            made.append(_layer(*args, **kwargs))
            return made[-1]

        setattr(Counting, kind, staticmethod(make))
    with torch.device("meta"):
        networks = [build(TINY, operations=Counting) for build in (DenoisingUNet, ReferenceUNet, PoseEncoder)]
    leaves = [m for n in networks for m in n.modules() if next(m.parameters(recurse=False), None) is not None]
    assert {id(m) for m in leaves} == {id(m) for m in made}


def test_timestep_zero_is_ones_then_zeros():
    embedding = timestep_embedding(torch.zeros(1), 8)
    assert embedding.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]


def test_spread_gives_each_clip_its_own_row():
    rows = torch.tensor([[1.0], [2.0]])
    assert spread(rows, 4).flatten().tolist() == [1, 1, 2, 2]
    assert spread(rows[:1], 3).flatten().tolist() == [1, 1, 1]

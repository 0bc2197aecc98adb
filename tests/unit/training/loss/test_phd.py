"""The PhD loss: which term counts when, what it is worth, and where its gradient goes."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from echomimic_core.networks.lpips import LPIPS
from echomimic_core.training.loss.diffusion import (
    add_noise,
    min_snr_weights,
    offset_noise,
    one_step_clean,
    velocity_target,
)
from echomimic_core.training.loss.edges import soft_canny
from echomimic_core.training.loss.keypoints import MapError, build_keypoints
from echomimic_core.training.loss.perceptual import MultiScaleGradientSSIM, build_perceptual
from echomimic_core.training.loss.phd import PhDLoss, PhDWeights, edge_error, latent_loss, masked_mean


class Decoder(nn.Module):
    """A frozen stand-in for the VAE's decoder: colours from the first three channels, eight times the size."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(4, 3, 1).requires_grad_(False)

    def forward(self, latents):
        return torch.sigmoid(self.colours(nn.functional.interpolate(latents, scale_factor=8)))


class Maps(nn.Module):
    """Someone else's keypoint network: five maps of a quarter of the size."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 4, stride=4)

    def forward(self, pictures):
        return torch.sigmoid(self.layer(pictures))


def phd(**weights):
    torch.manual_seed(0)
    keypoints = MapError(Maps().requires_grad_(False))
    return PhDLoss(PhDWeights(**weights), Decoder(), keypoints, MultiScaleGradientSSIM())


def batch(timesteps, size=8, frames=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    at = torch.tensor(timesteps)
    clean, noise = (torch.randn(len(at), frames, 4, size, size, generator=generator) for _ in range(2))
    velocity = torch.randn(len(at), frames, 4, size, size, generator=generator).requires_grad_()
    pictures = torch.rand(len(at), 1, 3, 8 * size, 8 * size, generator=generator)
    return {
        "velocity": velocity,
        "target": velocity_target(clean, noise, at),
        "noisy": add_noise(clean, noise, at),
        "timesteps": at,
        "frames": pictures,
        "picked": torch.zeros(len(at), 1, dtype=torch.long),
    }


@pytest.mark.parametrize(
    ("timestep", "term"),
    [(999, "pose"), (900, "pose"), (899, "detail"), (300, "detail"), (299, "low"), (0, "low")],
)
def test_each_timestep_has_the_term_of_its_phase(timestep, term):
    _, parts = phd()(**batch([timestep]))
    assert set(parts) == {"latent", term}


def test_terms_are_those_of_each_sample_and_averaged_over_the_batch():
    loss = phd(latent=0.0, pose=1.0, detail=10.0, low=100.0)
    total, parts = loss(**batch([950, 500, 100]))
    expected = (parts["pose"][0] + 10 * parts["detail"][1] + 100 * parts["low"][2]) / 3
    assert torch.allclose(total, expected)
    assert parts["pose"][1:].isnan().all() and parts["low"][:2].isnan().all()


@pytest.mark.parametrize("timestep", [950, 500, 100])
def test_gradients_reach_the_prediction_and_no_frozen_module(timestep):
    loss = phd(latent=0.0, pose=1.0, detail=1.0, low=1.0)
    given = batch([timestep])
    total, _ = loss(**given)
    total.backward()
    picked, other = given["velocity"].grad[0]
    assert picked.abs().sum() > 0 and picked.isfinite().all()
    assert not other.any()
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_frames_that_are_right_cost_nothing():
    loss = phd(latent=0.0, pose=1.0, detail=1.0, low=1.0)
    given = batch([950, 500, 100])
    given["velocity"] = given["target"]
    clean = one_step_clean(given["noisy"], given["target"], given["timesteps"])
    given["frames"] = loss.decode(clean[:, 0])[:, None]
    assert loss(**given)[0] < 1e-6


def test_a_term_of_no_phase_counts_at_every_timestep(monkeypatch):
    loss = phd(latent=0.0)
    loss.terms["colour"], loss.always = edge_error, ("colour",)
    monkeypatch.setattr(PhDWeights, "colour", 2.0, raising=False)
    total, parts = loss(**batch([950, 500, 100]))
    own = [parts[name][place] * 0.1 for place, name in enumerate(("pose", "detail", "low"))]
    assert torch.allclose(total, (2 * parts["colour"] + torch.stack(own)).mean())


def test_a_weight_without_a_term_is_named():
    @dataclasses.dataclass(frozen=True)
    class More(PhDWeights):
        def of_terms(self):
            return {**super().of_terms(), "colour": 0.1}

    with pytest.raises(ValueError, match="loss.colour has a weight but no term: add what it compares to PhDLoss.terms"):
        PhDLoss(More())


def test_weight_of_a_term_zero_switches_it_off():
    _, parts = phd(detail=0.0)(**batch([500]))
    assert set(parts) == {"latent"}


def test_min_snr_weighs_samples_before_their_mean():
    errors = torch.tensor([1.0, 3.0]).sqrt()[:, None].expand(2, 5)
    at = torch.tensor([999, 0])
    weights = min_snr_weights(at, 5.0)
    losses = latent_loss(errors, torch.zeros(2, 5), at, 5.0)
    assert torch.allclose(losses, weights * torch.tensor([1.0, 3.0]))
    # The weight after the mean, a known mistake, would be another number
    assert not torch.isclose(losses.mean(), weights.mean() * 2.0)


def test_min_snr_weights_are_those_of_v_prediction():
    from echomimic_core.sampling.schedule import alphas_cumprod

    at = torch.arange(1000)
    alphas = alphas_cumprod().double()
    snr = alphas[:-1] / (1 - alphas[:-1])
    expected = (snr + 1).clamp(max=5.0) / (snr + 1)
    weights = min_snr_weights(at, 5.0)
    assert torch.allclose(weights[:-1].double(), expected, atol=1e-6)
    assert weights[-1] == 1.0
    assert (min_snr_weights(at, 0.0) == 1.0).all()


def test_at_the_last_timestep_the_target_is_the_picture_itself():
    clean, noise = torch.randn(1, 4), torch.randn(1, 4)
    at = torch.tensor([999])
    assert torch.equal(add_noise(clean, noise, at), noise)
    assert torch.equal(velocity_target(clean, noise, at), -clean)
    assert torch.equal(one_step_clean(noise, -clean, at), clean)


def test_noise_offset_is_one_number_a_clip_and_channel():
    noise, offset = torch.zeros(2, 3, 4, 5, 5), torch.randn(2, 1, 4, 1, 1)
    shifted = offset_noise(noise, offset, 0.05)
    assert torch.equal(shifted, (0.05 * offset).expand_as(noise))


def test_what_the_mask_hides_contributes_exactly_nothing():
    mask = torch.zeros(1, 1, 1, 8, 8)
    mask[..., 2:5, 3:6] = 1.0
    given = batch([999])
    wild = dict(given)
    wild["target"] = torch.where(mask > 0, given["target"], torch.inf)
    pixel_mask = nn.functional.interpolate(mask[:, 0], scale_factor=8)
    wild["frames"] = torch.where(pixel_mask[:, None] > 0, given["frames"], 123.0)
    loss = phd(pose=1.0)
    one, _ = loss(**given, mask=mask, pixel_mask=pixel_mask)
    two, _ = loss(**wild, mask=mask, pixel_mask=pixel_mask)
    assert torch.equal(one, two) and one > 0
    one.backward()
    gradient = given["velocity"].grad
    assert not gradient[(mask == 0).expand_as(gradient)].any()
    assert gradient[(mask > 0).expand_as(gradient)].any()


@pytest.mark.parametrize("timestep", [950, 500, 100])
def test_a_decoder_that_looks_around_brings_nothing_in_from_outside_the_mask(timestep):
    class Wide(Decoder):
        def forward(self, latents):
            return super().forward(nn.functional.avg_pool2d(latents, 5, stride=1, padding=2))

    mask = torch.zeros(1, 1, 1, 16, 16)
    mask[..., 4:10, 5:11] = 1.0
    pixel_mask = nn.functional.interpolate(mask[:, 0], scale_factor=8)
    given = batch([timestep], size=16)
    loss = phd(latent=0.0, pose=1.0, detail=1.0, low=1.0)
    loss.decode = Wide()
    total, _ = loss(**given, mask=mask, pixel_mask=pixel_mask)
    total.backward()
    gradient = given["velocity"].grad[:, :1]
    inside = (mask > 0).expand_as(gradient)
    assert gradient[inside].any() and not gradient[~inside].any()
    wild = {**given, "velocity": torch.where(mask > 0, given["velocity"], 1e6)}
    assert torch.equal(loss(**wild, mask=mask, pixel_mask=pixel_mask)[0], total)


@pytest.mark.parametrize("phase", ["pose", "detail", "low"])
def test_terms_of_a_headshot_weigh_as_much_as_those_of_a_whole_picture(phase):
    loss = phd()
    generator = torch.Generator().manual_seed(0)
    decoded, frames = torch.rand(2, 1, 3, 256, 256, generator=generator)
    keep = torch.zeros(1, 1, 256, 256)
    keep[..., 64:192, 64:192] = 1.0
    part = loss.term(phase, decoded, frames, keep).item()
    # The same head in a black picture, as a mean over all of it: four times too little
    assert part == pytest.approx(4 * loss.term(phase, decoded * keep, frames * keep, None).item(), rel=1e-5)
    if phase == "low":
        # Keypoints and edges see the border of the head too much to compare with the head alone
        alone = loss.term(phase, decoded[..., 64:192, 64:192], frames[..., 64:192, 64:192], None)
        assert part == pytest.approx(alone.item(), rel=0.25)


def test_an_empty_mask_gives_zero_not_nan():
    assert masked_mean(torch.full((1, 4), torch.inf), torch.zeros(1, 4)).tolist() == [0.0]


def picture(path="character.png", size=256):
    cv2 = pytest.importorskip("cv2")
    from pathlib import Path

    file = Path(__file__).resolve().parents[4] / "demo" / "inputs" / path
    if not file.exists():
        pytest.skip("the demo's picture is not in this checkout")
    return cv2.resize(cv2.imread(str(file))[..., ::-1], (size, size), interpolation=cv2.INTER_AREA)


def test_soft_edges_lie_where_canny_finds_edges():
    cv2 = pytest.importorskip("cv2")
    image = picture()
    grey = cv2.GaussianBlur(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), (5, 5), 1.4)
    canny = torch.from_numpy(cv2.Canny(grey, 100, 200, L2gradient=True) > 0)
    soft = soft_canny(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255)[0, 0]
    near = nn.functional.max_pool2d(canny[None].float(), 3, 1, 1)[0] > 0
    assert canny.sum() > 200
    assert soft[canny].mean() > 0.3
    assert soft[~near].mean() < 0.02


def test_soft_edges_have_a_gradient_even_on_a_flat_picture():
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    soft_canny(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_soft_edges_are_those_of_float32_inside_autocast():
    step = torch.zeros(1, 3, 64, 768)
    step[..., 301:] = 1.0
    exact = soft_canny(step)
    assert set(exact[0, 0, 32].topk(2).indices.tolist()) == {300, 301}
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(soft_canny(step), exact)
    assert soft_canny(step.bfloat16()).dtype == torch.float32
    assert torch.equal(soft_canny(step.bfloat16()), exact)


@pytest.mark.parametrize("phase", ["pose", "detail", "low"])
def test_terms_are_those_of_float32_inside_autocast(phase):
    loss = phd()
    generator = torch.Generator().manual_seed(0)
    decoded, frames = torch.rand(2, 1, 3, 64, 768, generator=generator)
    exact = loss.term(phase, decoded, frames, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss.term(phase, decoded, frames, None), exact)


def test_the_stand_in_for_lpips_says_so_and_grows_with_the_damage(caplog):
    distance = build_perceptual("stand-in")
    assert "stand in for LPIPS" in caplog.text
    image = torch.from_numpy(np.ascontiguousarray(picture(size=64))).permute(2, 0, 1)[None] / 255
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    damage = [distance(image, (image + level * noise).clamp(0, 1)).item() for level in (0.0, 0.05, 0.2)]
    assert damage[0] == pytest.approx(0.0, abs=1e-5) and damage[0] < damage[1] < damage[2]


class Distance(nn.Module):
    """Someone else's perceptual distance."""

    def forward(self, a: torch.Tensor, b: torch.Tensor):
        return (a - b).square().mean((1, 2, 3))


class Forgetful(nn.Module):
    """A network that gives no gradient."""

    def forward(self, pictures: torch.Tensor):
        return pictures.detach().round()


def script(network, path):
    torch.jit.script(network).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_other_networks_take_their_place_as_torchscript(tmp_path):
    torch.manual_seed(0)
    keypoints = build_keypoints(script(Maps(), tmp_path / "maps.pt"))
    perceptual = build_perceptual(script(Distance(), tmp_path / "distance.pt"))
    given = batch([950, 100])
    loss = PhDLoss(PhDWeights(latent=0.0, pose=1.0, low=1.0), Decoder(), keypoints, perceptual)
    total, parts = loss(**given)
    total.backward()
    assert set(parts) == {"latent", "pose", "low"} and given["velocity"].grad[:, 0].abs().sum() > 0
    assert keypoints.maps(torch.rand(1, 3, 32, 32)).shape == (1, 5, 8, 8)
    # LPIPS wants pictures in -1..1, so a difference of 0.5 is one of 1
    assert perceptual(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.5)).item() == pytest.approx(1.0)
    assert not any(parameter.requires_grad for parameter in loss.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_script_that_no_loss_can_use_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"forgetful\.pt is not a network .* without a gradient"):
        build_keypoints(script(Forgetful(), tmp_path / "forgetful.pt"))
    with pytest.raises(ValueError, match=r"distance\.pt is not a network from pictures .* it says: "):
        build_keypoints(script(Distance(), tmp_path / "distance.pt"))
    with pytest.raises(ValueError, match=r"maps\.pt is not a distance"):
        build_perceptual(script(Maps(), tmp_path / "maps.pt"))
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(ValueError, match=r"text\.pt cannot be read"):
        build_keypoints(tmp_path / "text.pt")
    with pytest.raises(ValueError, match=r"text\.pt cannot be used as the AlexNet of LPIPS"):
        build_perceptual(tmp_path / "text.pt")
    with pytest.raises(ValueError, match="loss.lpips=stand-in"):
        build_perceptual(None)


def test_l_low_is_lpips_of_the_files_that_the_evaluation_reads(tmp_path):
    torch.manual_seed(0)
    network = LPIPS()
    torch.save({name: value for name, value in network.state_dict().items() if "heads" not in name}, tmp_path / "a.pth")
    heads = {f"lin{index}.model.1.weight": head.weight for index, head in enumerate(network.heads)}
    torch.save(heads, tmp_path / "alex.pth")
    a, b = torch.rand(2, 1, 3, 64, 64)
    assert torch.allclose(build_perceptual(tmp_path / "a.pth")(a, b), network(2 * a - 1, 2 * b - 1))


def test_weights_of_the_loss_are_the_settings_of_the_run():
    from echomimic_core.training.settings import LossSettings

    names = {field.name for field in dataclasses.fields(PhDWeights)}
    assert names <= {field.name for field in dataclasses.fields(LossSettings)}

"""What is noised, predicted and weighed in training: v-prediction on the betas of inference, with zero terminal SNR."""

import torch

from ...sampling.schedule import alphas_cumprod, predict_clean


def alphas_at(timesteps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The products of alphas at timesteps (B,), shaped to broadcast over `like` (B, ...), float32."""
    return alphas_cumprod().to(like.device)[timesteps.long()].reshape(-1, *[1] * (like.ndim - 1))


def add_noise(clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Noisy latents sqrt(alpha) x0 + sqrt(1 - alpha) noise, tensors (B, ...) with timesteps (B,)."""
    alpha = alphas_at(timesteps, clean)
    return alpha.sqrt() * clean + (1.0 - alpha).sqrt() * noise


def velocity_target(clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """What the U-Net is to predict: sqrt(alpha) noise - sqrt(1 - alpha) x0; at timestep 999 exactly -x0."""
    alpha = alphas_at(timesteps, clean)
    return alpha.sqrt() * noise - (1.0 - alpha).sqrt() * clean


def one_step_clean(noisy: torch.Tensor, velocity: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """The clean latents that a predicted velocity implies in one step, defined at every timestep up to 999."""
    return predict_clean(noisy, velocity, alphas_at(timesteps, noisy))


def offset_noise(noise: torch.Tensor, offset: torch.Tensor, strength: float) -> torch.Tensor:
    """Noise (B, F, 4, h, w) plus `strength` times one number per clip and channel, `offset` (B, 1, 4, 1, 1)."""
    return noise + strength * offset


def min_snr_weights(timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weights (B,) of the velocity loss per sample: min(SNR + 1, gamma) / (SNR + 1) (Hang et al., arXiv 2303.09556).

    The + 1 is that of v-prediction. Timestep 999, where the SNR is 0, keeps weight 1, so the first step of sampling
    is learned too; min(SNR, gamma) / (SNR + 1) would give it 0. A gamma of 0 gives every sample weight 1.
    """
    if gamma <= 0:
        return torch.ones(len(timesteps), device=timesteps.device)
    alpha = alphas_cumprod().to(timesteps.device)[timesteps.long()].double()
    # (SNR + 1) is 1 / (1 - alpha)
    return (gamma * (1.0 - alpha)).clamp(max=1.0).float()

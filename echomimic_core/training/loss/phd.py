"""PhD loss (EchoMimicV2, §3.5): the latent loss everywhere, and one more term by the phase of the timestep.

t in [900, 1000): L_pose, keypoint maps; [300, 900): L_detail, edges; [0, 300): L_low, LPIPS. The extra terms compare
the decoded one-step prediction of one or two frames with the frames of the clip.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import nn

from ...apdh.steering import phase_of
from ...config import PHASES, PIXELS_PER_LATENT
from ..limits import bounded
from .crops import LossCrop
from .diffusion import min_snr_weights, one_step_clean
from .edges import soft_canny

PHASE_NAMES = tuple(PHASES)
# A mask that keeps less of a picture than this is no head, and its few pixels must not outweigh all others.
SMALLEST_SHARE = 1e-3


# Weights that belong to the latent loss.
NO_TERMS = ("latent", "min_snr_gamma")


@dataclass(frozen=True)
class PhDWeights:
    """Factors of the terms and of min-SNR; 0 switches a term off."""

    latent: float = bounded(1.0, 0)
    pose: float = bounded(0.1, 0)
    detail: float = bounded(0.1, 0)
    low: float = bounded(0.1, 0)
    min_snr_gamma: float = bounded(5.0, 0)

    def of_phase(self, name: str) -> float:
        return getattr(self, name)

    def of_terms(self) -> dict[str, float]:
        """The factors of the terms on decoded pictures, by name."""
        return {item.name: getattr(self, item.name) for item in fields(PhDWeights) if item.name not in NO_TERMS}


def masked_mean(errors: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean (B,) of errors (B, ...) per sample, weighed by the mask (broadcastable, 0 or more); 0 where it keeps
    nothing. What is outside the mask contributes exactly nothing."""
    if mask is None:
        return errors.flatten(1).mean(1)
    mask = mask.expand_as(errors)
    # Not a product: errors that are infinite outside the mask must not leak through 0 * inf
    kept = torch.where(mask > 0, errors * mask, 0.0).flatten(1).sum(1)
    return kept / mask.flatten(1).sum(1).clamp_min(1e-6)


def latent_loss(
    velocity: torch.Tensor,
    target: torch.Tensor,
    timesteps: torch.Tensor,
    gamma: float,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Loss (B,) per sample: the squared error of the velocity (B, F, 4, h, w), averaged within a sample, then weighed.

    The min-SNR weight belongs to the sample, so it multiplies before the mean over the batch is taken.
    """
    errors = (velocity.float() - target.float()).square()
    return masked_mean(errors, mask) * min_snr_weights(timesteps, gamma)


class PhDLoss(nn.Module):
    """The loss of a batch.

    Parameters
    ----------
    weights : factors of the terms.
    decode : scaled latents (n, 4, h, w) -> pictures (n, 3, H, W) in about 0..1, frozen but differentiable; None for
        the latent loss alone.
    keypoints : generated and true pictures, squares (n, 4, 4) -> error (), as `keypoints.KeypointLoss`; None switches
        L_pose off.
    perceptual : two batches of pictures -> distance (n,); None switches L_low off.
    decoded_size : pixels of the side of what is decoded; 0 is whole frames.
    """

    def __init__(
        self,
        weights: PhDWeights,
        decode: Callable[[torch.Tensor], torch.Tensor] | None = None,
        keypoints: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        perceptual: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        decoded_size: int = 0,
    ):
        super().__init__()
        self.weights, self.decode, self.decoded_size = weights, decode, decoded_size
        self.keypoints, self.perceptual = keypoints, perceptual  # As attributes, so that modules move with this one.
        # The term of each phase, by its name: two batches of pictures and squares -> distance, None where it is off.
        # Those of a phase count in it, any other at every timestep.
        self.terms = {"pose": keypoints, "detail": edge_error, "low": perceptual and without_squares(perceptual)}
        self.always = tuple(name for name in self.terms if name not in PHASE_NAMES)
        without = [name for name in weights.of_terms() if name not in self.terms]
        if without:
            raise ValueError(f"loss.{without[0]} has a weight but no term: add what it compares to PhDLoss.terms")

    def forward(
        self,
        velocity: torch.Tensor,
        target: torch.Tensor,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        frames: torch.Tensor,
        picked: torch.Tensor,
        squares: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        pixel_mask: torch.Tensor | None = None,
        crops: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of a batch and its parts for the log.

        Parameters
        ----------
        velocity, target, noisy : (B, F, 4, h, w), one timestep a clip (B,).
        frames : (B, n, 3, H, W) in 0..1, the frames of the clip that are decoded for the second term.
        picked : (B, n) their indices among the F.
        squares : (B, n, 4, 4) where hands, body and face are in them, `data.squares`; L_pose needs them.
        crops : (B, 2) left and top, in cells, of what is decoded of each clip where that is not the whole frame.
        mask : (B, 1 or F, 1, h, w) weights of the latents, 0 outside of HPA's mask; pixel_mask : (B, 1, H, W) that
            mask over the pictures; or None.

        Returns
        -------
        The mean over the batch (), and per-sample terms (B,): "latent", and of "pose", "detail", "low" those in use,
        NaN for samples in another phase.
        """
        latent = latent_loss(velocity, target, timesteps, self.weights.min_snr_gamma, mask)
        total, parts = self.weights.latent * latent, {"latent": latent.detach()}
        if self.decode is None:
            return total.mean(), parts
        clean = self.prediction(velocity, target, noisy, timesteps, mask)
        terms = []
        for sample, timestep in enumerate(timesteps.tolist()):
            names = (PHASE_NAMES[phase_of(timestep)], *self.always)
            wanted = [name for name in names if self.weights.of_phase(name) and self.terms[name] is not None]
            terms.append(latent.new_zeros(()))
            if not wanted:
                continue
            latents, pictures = clean[sample, picked[sample]], frames[sample]
            keep = None if pixel_mask is None else pixel_mask[sample : sample + 1]
            places = None if squares is None else squares[sample]
            if crops is not None:
                crop = LossCrop(*crops[sample].tolist(), self.decoded_size // PIXELS_PER_LATENT)
                places = None if places is None else crop.squares(places, pictures.shape[-1])
                latents, pictures = crop.cells(latents), crop.pixels(pictures)
                keep = None if keep is None else crop.pixels(keep)
            decoded = self.decode(latents)
            for name in wanted:
                term = self.term(name, decoded, pictures, keep, places)
                parts.setdefault(name, torch.full_like(latent, torch.nan).detach())[sample] = term.detach()
                terms[-1] = terms[-1] + self.weights.of_phase(name) * term
        return (total + torch.stack(terms)).mean(), parts

    @staticmethod
    def prediction(velocity, target, noisy, timesteps, mask: torch.Tensor | None) -> torch.Tensor:
        """Predicted clean latents (B, F, 4, h, w), the true ones where the mask hides the prediction.

        A decoder looks beyond each latent cell, so a hidden prediction would reach the pixels that count.
        """
        clean = one_step_clean(noisy, velocity, timesteps)
        if mask is None:
            return clean
        return torch.where(mask > 0, clean, one_step_clean(noisy, target, timesteps).detach())

    def term(
        self,
        name: str,
        decoded: torch.Tensor,
        frames: torch.Tensor,
        keep: torch.Tensor | None,
        squares: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A term () of decoded pictures (n, 3, H, W) and the true ones, over the mask (1, 1, H, W).

        Always in float32. It is a mean over what the mask keeps, or over the things looked at, so a headshot weighs as
        much as a whole picture.
        ValueError for a name that is not a term, or one that is off.
        """
        compare = self.terms.get(name)
        if compare is None:
            in_use = ", ".join(key for key, term in self.terms.items() if term is not None)
            raise ValueError(f"there is no loss term {name!r} in use: those are {in_use}")
        share = 1.0
        decoded, frames = decoded.float(), frames.float()
        if keep is not None:
            # Both pictures become black outside, so no map can differ there.
            decoded, frames = torch.where(keep > 0, decoded, 0.0), torch.where(keep > 0, frames, 0.0)
            if getattr(compare, "per_area", True):
                share = keep.float().mean().clamp_min(SMALLEST_SHARE)
        with torch.autocast(decoded.device.type, enabled=False):
            return compare(decoded, frames, squares).mean() / share


def edge_error(decoded: torch.Tensor, frames: torch.Tensor, squares: torch.Tensor | None) -> torch.Tensor:
    """Squared error of the edges of two batches of pictures, with a gradient for the first."""
    return (soft_canny(decoded) - soft_canny(frames).detach()).square()


def without_squares(compare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
    """A distance of two batches of pictures as a term that is given squares, too."""
    return lambda decoded, frames, squares: compare(decoded, frames)

"""What hands answer in a voice: how loud it is, where it is stressed, and where it rests. torch alone."""

import math
from dataclasses import dataclass

import torch

from ..config import FPS
from ..runtime import Progress

RATE = 16_000
HOP, WINDOW = 160, 512  # 100 looks per second, each at 32 ms
LOOKS = RATE // HOP
BLOCK_SECONDS = 60

PITCH_RANGE = (70.0, 400.0)  # Hz
PITCH_EVERY = 2  # Looks

SILENCE_DB = -55.0  # Below this, in dB of full scale, nobody speaks
SPEECH_ABOVE_FLOOR = 0.35  # Share of the way from the quietest to the loudest looks
LEAST_RANGE_DB = 9.0  # Between them, or it is one steady sound
LONGEST_GAP, SHORTEST_PHRASE = 0.25, 0.15  # Seconds
ACCENT_DISTANCE = 0.18  # Seconds between two accents, at least
ACCENT_THRESHOLD = 0.4  # Standard deviations above the mean of speech


@dataclass(frozen=True)
class Prosody:
    """A voice of F frames as hands hear it.

    Attributes
    ----------
    fps : frames per second.
    loudness : (F,) 0 in silence to 1 for this speaker's loudest.
    speech : (F,) bool, whether there is speech.
    accents : (n,) frames (with fractions) of stressed onsets, in order.
    strengths : (n,) how strong each is, about 0.1 to 1.
    phrases : (first frame, frame after the last) of each stretch of speech.
    """

    fps: float
    loudness: torch.Tensor
    speech: torch.Tensor
    accents: torch.Tensor
    strengths: torch.Tensor
    phrases: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.loudness)


def listen(waveform: torch.Tensor, frames: int = 0, fps: float = FPS, progress: Progress | None = None) -> Prosody:
    """The prosody of a voice, each speaker measured by its own range.

    Parameters
    ----------
    waveform : (samples,) mono at 16 kHz in -1..1.
    frames : of the result; 0 is as long as the voice. Beyond the voice there is silence.
    progress : called with (seconds done, seconds in all); may raise to cancel.

    Raises
    ------
    ValueError : frames below 0.
    """
    if frames < 0:
        raise ValueError(f"frames is {frames}, but must be 0 (as long as the voice) or more")
    waveform = waveform.flatten().float()
    frames = frames or max(round(len(waveform) / RATE * fps), 1)
    if not len(waveform):
        nothing = torch.zeros(0)
        return Prosody(fps, torch.zeros(frames), torch.zeros(frames, dtype=torch.bool), nothing, nothing, [])
    level, flux, pitch = _looks(waveform, progress)
    speech = _speech(level)
    loud = level[speech].quantile(0.95) if speech.any() else level.new_zeros(())
    floor = min(float(level.quantile(0.05)), float(loud) - 30.0)
    loudness = ((level - floor) / (loud - floor).clamp_min(1.0)).clamp(0, 1) * speech
    accents, strengths = _accents(level, flux, pitch, speech)
    at = ((torch.arange(frames) + 0.5) / fps * LOOKS).long()
    inside = at < len(level)
    at = at.clamp_max(len(level) - 1)
    smooth = torch.nn.functional.avg_pool1d(loudness[None, None], 5, 1, 2, count_include_pad=False)[0, 0]
    in_frames = (smooth[at] * inside, speech[at] & inside)
    accents = accents / LOOKS * fps
    kept = accents < frames
    return Prosody(fps, *in_frames, accents[kept], strengths[kept], _runs(in_frames[1]))


def _looks(waveform: torch.Tensor, progress: Progress | None) -> tuple[torch.Tensor, ...]:
    """(level in dB, spectral flux, pitch in octaves or NaN), each 100 times per second, block by block."""
    window, seconds = torch.hann_window(WINDOW), max(math.ceil(len(waveform) / RATE), 1)
    padded = torch.nn.functional.pad(waveform, (WINDOW // 2, WINDOW // 2 + HOP))
    total = len(waveform) // HOP + 1
    levels, fluxes, pitches, before = [], [], [], None
    for first in range(0, total, BLOCK_SECONDS * LOOKS):
        if progress is not None:
            progress(first // LOOKS, seconds)
        count = min(BLOCK_SECONDS * LOOKS, total - first)
        views = padded[first * HOP : (first + count - 1) * HOP + WINDOW].unfold(0, WINDOW, HOP)
        spectrum = torch.fft.rfft(views * window).abs()
        levels.append(10 * torch.log10((spectrum.square().mean(1) / WINDOW).clamp_min(1e-12)))
        compressed = torch.log1p(100 * spectrum / math.sqrt(WINDOW))
        earlier = torch.cat([compressed[:1] if before is None else before, compressed[:-1]])
        fluxes.append((compressed - earlier).clamp_min(0).mean(1))
        before = compressed[-1:]
        pitches.append(_pitch(views[::PITCH_EVERY]).repeat_interleave(PITCH_EVERY)[:count])
    return torch.cat(levels), torch.cat(fluxes), torch.cat(pitches)


def _pitch(views: torch.Tensor) -> torch.Tensor:
    """Pitch (n,) in octaves above 1 Hz of views (n, samples), by autocorrelation; NaN where there is none."""
    shortest, longest = (int(RATE / hertz) for hertz in reversed(PITCH_RANGE))
    views = views - views.mean(1, keepdim=True)
    spectrum = torch.fft.rfft(views, 2 * WINDOW)
    correlation = torch.fft.irfft(spectrum.abs().square())[:, : longest + 1]
    strength, lag = (correlation[:, shortest:] / correlation[:, :1].clamp_min(1e-9)).max(1)
    octaves = torch.log2(RATE / (lag + shortest).float())
    return torch.where(strength > 0.35, octaves, torch.nan)


def _speech(level: torch.Tensor) -> torch.Tensor:
    """Whether each look is speech: louder than this recording's own floor, short gaps closed."""
    quiet, loud = level.quantile(0.05), level.quantile(0.95)
    if loud < SILENCE_DB:
        return torch.zeros(len(level), dtype=torch.bool)
    threshold = quiet + SPEECH_ABOVE_FLOOR * (loud - quiet) if loud - quiet > LEAST_RANGE_DB else quiet - 1
    speech = level > threshold.clamp_min(SILENCE_DB)
    for value, longest in ((False, LONGEST_GAP), (True, SHORTEST_PHRASE)):
        for first, end in _runs(speech == value):
            if end - first < longest * LOOKS and (value or (first > 0 and end < len(speech))):
                speech[first:end] = not value
    return speech


def _accents(level, flux, pitch, speech) -> tuple[torch.Tensor, torch.Tensor]:
    """Looks at which stress begins, and its strengths: where spectrum, level and pitch rise more than usual."""
    if speech.sum() < 0.1 * LOOKS:
        return torch.zeros(0), torch.zeros(0)
    rise = (_smooth(level, 5) - _smooth(level, 5).roll(8)).clamp_min(0)
    rise[:8] = 0
    melody = torch.where(
        torch.isnan(pitch), pitch[~torch.isnan(pitch)].median() if (~pitch.isnan()).any() else 0, pitch
    )
    height = (_smooth(melody, 9) - _smooth(melody, 101)).clamp(0, 1)
    stress = _standard(_smooth(flux, 7), speech) + 0.5 * _standard(rise, speech) + 0.3 * _standard(height, speech)
    stress = stress + 0.5 * _standard(_smooth(level, 11).roll(-6), speech)
    around = round(ACCENT_DISTANCE * LOOKS)
    highest = torch.nn.functional.max_pool1d(stress[None, None], 2 * around + 1, 1, around)[0, 0]
    threshold = stress[speech].mean() + ACCENT_THRESHOLD * stress[speech].std()
    found = ((stress == highest) & (stress > threshold) & speech).nonzero().flatten()
    if not len(found):
        return torch.zeros(0), torch.zeros(0)
    strength = stress[found] - threshold
    return found.float(), (strength / strength.quantile(0.9).clamp_min(1e-6)).clamp(0.1, 1.0)


def _standard(values: torch.Tensor, speech: torch.Tensor) -> torch.Tensor:
    """Values in standard deviations of this speaker's speech."""
    spoken = values[speech]
    return (values - spoken.mean()) / spoken.std().clamp_min(1e-6)


def _smooth(values: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.avg_pool1d(values[None, None], width, 1, width // 2, count_include_pad=False)[0, 0]


def _runs(values: torch.Tensor) -> list[tuple[int, int]]:
    """(first, after the last) of each stretch of true values."""
    edges = torch.diff(values.int(), prepend=values.new_zeros(1).int(), append=values.new_zeros(1).int())
    return list(zip((edges == 1).nonzero().flatten().tolist(), (edges == -1).nonzero().flatten().tolist(), strict=True))

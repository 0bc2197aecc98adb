"""A plan as a picture and as words: the voice, its accents and phrases, and which stroke falls where."""

import numpy as np
import torch

from .plan import Plan
from .prosody import RATE, Prosody

WIDTH, HEIGHT = 1280, 240
PAPER, INK, VOICE, PHRASE, ACCENT, STROKE, REST = (
    (250, 250, 248),
    (60, 60, 64),
    (96, 125, 160),
    (226, 234, 243),
    (214, 120, 60),
    (60, 130, 90),
    (170, 170, 176),
)


def picture(waveform: torch.Tensor, heard: Prosody, plan: Plan) -> np.ndarray:
    """The timeline (240, 1280, 3) uint8 of a voice (samples,) at 16 kHz: waveform over strokes, accents as marks."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    frames = max(len(heard), 1)

    def x(frame: float) -> float:
        return frame / frames * (WIDTH - 1)

    middle, reach = 80, 60
    for first, end in heard.phrases:
        draw.rectangle((x(first), middle - reach, x(end), middle + reach), fill=PHRASE)
    for column, peak in enumerate(_peaks(waveform, round(frames / heard.fps * RATE))):
        draw.line((column, middle - reach * peak, column, middle + reach * peak), fill=VOICE)
    for frame, strength in zip(heard.accents.tolist(), heard.strengths.tolist(), strict=True):
        draw.line((x(frame), middle + reach + 4, x(frame), middle + reach + 6 + 12 * strength), fill=ACCENT, width=2)
    for first, end in plan.rests:
        draw.rectangle((x(first), 168, x(end), 172), fill=REST)
    for row, event in enumerate(plan.events):
        top = 178 + 18 * (row % 3)
        draw.line((x(event.at), middle + reach + 4, x(event.at), top), fill=STROKE)
        draw.text((x(event.at) + 3, top - 4), event.stroke.kind, fill=INK)
    return np.asarray(image)


def _peaks(waveform: torch.Tensor, samples: int) -> np.ndarray:
    """The loudest of each column's samples (WIDTH,), 0..1 of the loudest of all."""
    wave = torch.nn.functional.pad(waveform.flatten().abs()[:samples], (0, max(samples - waveform.numel(), 0)))
    peaks = torch.nn.functional.adaptive_max_pool1d(wave[None, None].float(), WIDTH)[0, 0].numpy()
    return peaks / max(float(peaks.max()), 1e-6)


def report(heard: Prosody, plan: Plan, planner: str = "") -> str:
    """The analysis and the plan, in sentences and a list; `planner` is the name of a trained one."""
    fps, seconds = heard.fps, len(heard) / heard.fps
    spoken = float(heard.speech.float().mean())
    if not heard.phrases:
        return f"{seconds:.1f} s, no speech: the hands rest."
    if planner:
        return f"{seconds:.1f} s, {spoken:.0%} of them speech; {len(heard.accents)} accents; hands by {planner}."
    on_accents = sum(event.accent is not None for event in plan.events)
    lines = [
        f"{seconds:.1f} s, {spoken:.0%} of them speech; {len(heard.accents)} accents, {on_accents} with a stroke; "
        f"{len(plan.rests)} rests."
    ]
    lines += [
        f"{event.at / fps:6.2f} s  {event.stroke.name}{' (cue)' if event.forced else ''}" for event in plan.events
    ]
    return "\n".join(lines)


def parse_cues(text: str) -> list[tuple[float, str]]:
    """Cues of lines such as "2.4 thumbs_up"; empty lines and those that begin with # are left out.

    Raises
    ------
    ValueError : a line that is not a time in seconds and a name.
    """
    cues = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        time, _, name = line.partition(" ")
        try:
            cues.append((float(time), name.strip()))
        except ValueError:
            name = ""
        if not name.strip():
            raise ValueError(f"line {number} of the cues is {line!r:.60}, but it has to be like '2.4 thumbs_up'")
    return cues

"""One pass over a generated clip and the real one side by side: PSNR, SSIM and LPIPS of every frame."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from ...runtime import is_out_of_memory
from ...workers.ahead import read_ahead
from ..clips import CLIP, Clip, ClipError
from ..metrics import quality
from ..settings import Settings
from .extract import Result, Tick

# Frame rates nearer than this are the same.
SAME_RATE = 0.01
# Seconds by which containers round the times of their frames.
GRACE = 2e-3
SAME_SHAPE = 0.01
# Seconds, and the picture that is shown from then on.
Moment = tuple[float, np.ndarray]


def compare(
    generated: Clip, reference: Clip, wanted: list[str], settings: Settings, tick: Tick
) -> tuple[dict[str, Result], list[str]]:
    """Per-frame values (F,) of "psnr", "ssim" and "lpips" as wanted, and remarks on how the clips were matched.

    Every generated frame is compared with the real one that is shown at the same time after the first, whatever the
    two rates are and whether they are constant, up to the end of the shorter clip. A real clip of another size but
    equal shape is scaled to the generated one's. `tick` is called before each frame, and may raise to cancel.

    Raises
    ------
    ValueError : a clip cannot be read, has no frames, or the shapes differ.
    """
    rate, other = generated.fps(), reference.fps()
    differs = abs(rate - other) > SAME_RATE * rate
    remarks = []
    if differs:
        remarks.append(f"the real clip has {other:g} fps, the generated one {rate:g}: compared at the same times")
    measures = {name: MEASURES[name] for name in wanted if name != "lpips"}
    values: dict[str, list[float]] = {name: [] for name in measures}
    lpips = Lpips(settings) if "lpips" in wanted else None
    count = 0
    frames = shown_together(read_ahead(generated.frames()), read_ahead(reference.frames()))
    for count, (mine, real) in enumerate(frames, start=1):
        if mine is None or real is None:
            longer, shorter = ("the clip", "its real one") if real is None else ("the real clip", "this one")
            count -= 1
            remarks.append(f"{longer} is longer than {shorter}: only the first {count} frames are compared")
            break
        tick()
        picture, target = mine[1], real[1]
        if picture.shape != target.shape:
            if count == 1:
                remarks.append(_size_remark(picture, target))
            target = _scaled(target, picture)
        for name, measure in measures.items():
            values[name].append(measure(picture, target))
        if lpips:
            lpips.add(picture, target)
    if count == 0:
        raise ValueError(f"{generated.name} or {reference.name} has no frames to compare")
    results: dict[str, Result] = {name: {"values": np.array(numbers)} for name, numbers in values.items()}
    if lpips:
        results["lpips"] = lpips.finish()
    return results, remarks


def shown_together(mine: Iterator[Moment], real: Iterator[Moment]) -> Iterator[tuple[Moment | None, Moment | None]]:
    """(a frame of the first video, the frame of the second that is shown then); None where one has ended first.

    Parameters
    ----------
    mine, real : (seconds, picture) in order of time; seconds count from the first of each.
    """
    real = _Peekable(real)
    start = start_real = None
    shown, steps, now, own_step = None, (0.0, 0.0), 0.0, 0.0
    for seconds, picture in mine:
        start = seconds if start is None else start
        own_step, now = seconds - start - now, seconds - start
        while True:
            ahead = real.peek()
            if ahead is None:
                break
            start_real = ahead[0] if start_real is None else start_real
            # Containers round their times, some to milliseconds.
            if shown is not None and ahead[0] - start_real > now + GRACE:
                break
            last, shown = shown, next(real)
            steps = (shown[0] - start_real, shown[0] - last[0] if last else steps[1])
        # The last frame is shown as long as the one before it was.
        if shown is None or (ahead is None and now >= steps[0] + (steps[1] or math.inf) - GRACE):
            yield (seconds, picture), None
            return
        yield (seconds, picture), shown
    # What is shown while the last frame of `mine` is does not make the other longer.
    end = -math.inf if start_real is None else start_real + now + own_step - GRACE
    while real.peek() is not None:
        if real.peek()[0] > end:
            yield None, real.peek()
            return
        next(real)


class _Peekable:
    """An iterator whose next item can be seen before it is taken; None at the end."""

    def __init__(self, items: Iterator):
        self._items, self._ahead = iter(items), []

    def peek(self):
        if not self._ahead:
            self._ahead.append(next(self._items, None))
        return self._ahead[0]

    def __next__(self):
        found = self.peek()
        self._ahead.clear()
        return found


MEASURES = {"psnr": quality.psnr, "ssim": quality.ssim}


def _size_remark(picture: np.ndarray, target: np.ndarray) -> str:
    (h, w), (height, width) = picture.shape[:2], target.shape[:2]
    if abs(w / h - width / height) > SAME_SHAPE * w / h:
        raise ClipError(
            f"{CLIP} is {w}x{h} but its real clip is {width}x{height}: crop the real clip to the same framing "
            "first, or their frames cannot be compared pixel by pixel"
        )
    return f"the real clip was scaled from {width}x{height} to {w}x{h}"


def _scaled(target: np.ndarray, picture: np.ndarray) -> np.ndarray:
    from ...media.opencv import cv2

    height, width = picture.shape[:2]
    way = cv2.INTER_AREA if target.shape[0] > height else cv2.INTER_LINEAR
    return cv2.resize(target, (width, height), interpolation=way)


class Lpips:
    """LPIPS of pairs, in batches; a failing network becomes a sentence."""

    def __init__(self, settings: Settings):
        self.settings, self.pairs, self.values = settings, [], []
        self.problem = ""
        try:
            self.network, self.scripted = settings.load("lpips")
        except ValueError as error:
            self.problem = str(error)

    def add(self, picture: np.ndarray, target: np.ndarray) -> None:
        if self.problem:
            return
        self.pairs.append((picture, target))
        if len(self.pairs) == self.settings.batch:
            self._flush()

    @torch.inference_mode()
    def _flush(self) -> None:
        if not self.pairs:
            return
        sides = [torch.from_numpy(np.stack(side)).to(self.settings.device) for side in zip(*self.pairs, strict=True)]
        self.pairs = []
        try:
            self.values.append(lpips_distance(self.network, self.scripted, *sides).float().cpu().numpy())
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self.problem = f"the LPIPS network failed: {(str(error).splitlines() or [''])[0]}"

    def finish(self) -> Result:
        if not self.problem:
            self._flush()
        return self.problem or {"values": np.concatenate(self.values).astype(np.float64)}


def lpips_distance(network, scripted: bool, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances (N,) of RGB pictures a and b, each (N, H, W, 3) uint8.

    Two kinds of TorchScript are known: a network of both pictures in -1..1, and StyleGAN's `vgg16.pt`, whose scaled
    features of pictures in 0..255 differ by LPIPS when squared and summed.
    """
    a, b = (x.permute(0, 3, 1, 2).float() for x in (a, b))
    names = [argument.name for argument in network.forward.schema.arguments] if scripted else []
    if "return_lpips" in names:
        features = [network(x, resize_images=False, return_lpips=True) for x in (a, b)]
        return (features[0] - features[1]).square().flatten(1).sum(1)
    return network(a / 127.5 - 1, b / 127.5 - 1).reshape(len(a), -1).mean(1)

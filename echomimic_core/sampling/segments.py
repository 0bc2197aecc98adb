"""Long clips in segments that survive: each on disk as soon as it is done, each continuing where the last one ended.

A segment begins with frames that the segment before has made. They are held: at every step they get the noise the step
expects, so that the new frames are their neighbours, and in the end they are as they were. Noise and voice depend on
the frame's place in the whole clip, not on its place in a segment.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np
import torch

from ..config import LATENT_CHANNELS, SamplingConfig
from ..files.checkpoints import write_tensors
from ..files.durable import WriteError, make_folder, write_json
from ..files.tensor_file import CheckpointError, TensorFile
from ..models.reference_unet import ReferenceFeatures
from ..runtime import Progress
from ..scene.pin import Pin
from .clip import ClipConditions
from .denoiser import ClipDenoiser
from .loop import HeldFrames, sample
from .speed import EXACT, SpeedOptions
from .team import Team

PLAN_FILE = "plan.json"
SEGMENT_FILE = "segment_{:05d}.safetensors"
FORMAT_VERSION = 1
WAYS = "ways"


@dataclass(frozen=True)
class Segment:
    """A part of the clip: frames `first` to `last` (exclusive) are new, `before` and `after` of them are held.

    `after` frames, only in the last segment of a seamless loop, are the first ones of the clip.
    """

    index: int
    first: int
    last: int
    before: int
    after: int = 0

    @property
    def start(self) -> int:
        return self.first - self.before

    @property
    def frames(self) -> int:
        return self.before + self.last - self.first + self.after

    @property
    def held(self) -> list[int]:
        """Frames of the segment, counted from its own first, that are known already."""
        return [*range(self.before), *range(self.frames - self.after, self.frames)]


def plan_segments(frames: int, segment_frames: int, held_frames: int, loop: bool = False) -> list[Segment]:
    """Cut a clip into segments of `segment_frames` frames, of which `held_frames` are the tail of the one before.

    The rest goes to the last segment, which is never shorter than half of a segment. A clip of one segment that loops
    needs no held frames: its windows wrap.
    """
    if not 1 <= held_frames < segment_frames:
        raise ValueError(
            f"a segment of {segment_frames} frames cannot include {held_frames} frames of the previous one: set "
            f"held_frames between 1 and {segment_frames - 1}"
        )
    new = segment_frames - held_frames
    segments: list[Segment] = []
    first = last = 0
    while last < frames:
        first, last = last, last + (new if segments else segment_frames)
        # What would be left over is too little for windows: take it along
        last = frames if frames - last < new // 2 else last
        segments.append(Segment(len(segments), first, last, held_frames if segments else 0))
    if loop and len(segments) > 1:
        final = segments.pop()
        segments.append(Segment(final.index, final.first, final.last, final.before, held_frames))
    return segments


def frame_noise(
    seed: int, frames: Iterator[int] | list[int], height: int, width: int, channels: int = LATENT_CHANNELS
) -> torch.Tensor:
    """Standard normal noise (n, channels, height, width) by the seed and the frame's place in the clip alone."""
    rows = []
    for frame in frames:
        digest = hashlib.sha256(f"{seed}:{frame}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
        rows.append(torch.randn(channels, height, width, generator=generator))
    return torch.stack(rows)


def fingerprint(*parts) -> str:
    """A name for everything that decides a run's result: hash of numbers, texts, arrays, tensors and dataclasses."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()


def _feed(digest, part) -> None:
    if isinstance(part, torch.Tensor):
        part = part.detach().cpu().contiguous()
        digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
        digest.update(part.flatten().view(torch.uint8).numpy().tobytes() if part.numel() else b"")
    elif isinstance(part, np.ndarray):
        digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    elif is_dataclass(part) and not isinstance(part, type):
        digest.update(type(part).__name__.encode())
        for field in fields(part):
            _feed(digest, field.name)
            _feed(digest, getattr(part, field.name))
    elif isinstance(part, dict):
        for key in sorted(part, key=str):
            _feed(digest, key)
            _feed(digest, part[key])
    elif isinstance(part, (list, tuple)):
        digest.update(f"[{len(part)}".encode())
        for item in part:
            _feed(digest, item)
    elif part is None or isinstance(part, (str, int, float, bool)):
        digest.update(f"{type(part).__name__}:{part!r};".encode())
    else:
        raise TypeError(f"a {type(part).__name__} has no fingerprint")


class SegmentStore:
    """A folder with the finished segments of one run, and a note of which run that was.

    ways : of `models.trial`, which a run that is begun takes. One that goes on keeps its own, so that all segments come
        about alike; the attribute says which those are.

    Raises
    ------
    ValueError : the folder holds segments of another run.
    """

    def __init__(self, folder: str | Path, run: str, segments: list[Segment], ways: tuple[str, ...] = ()):
        self.folder = Path(folder)
        self.run, self.count, self.ways = run, len(segments), ways
        plan = {"version": FORMAT_VERSION, "run": run, "segments": [asdict(segment) for segment in segments]}
        make_folder(self.folder)
        note = self.folder / PLAN_FILE
        if note.exists():
            try:
                known = json.loads(note.read_text("utf-8"))
            except ValueError:
                known = None
            if isinstance(known, dict):
                self.ways = tuple(known.pop(WAYS, ()))
            if known != plan:
                raise ValueError(
                    f"{self.folder} contains segments of another run (other inputs, settings or model): choose a "
                    "new folder name, or delete that folder"
                )
        elif any(self.folder.glob("segment_*.safetensors")):
            raise ValueError(f"{self.folder} contains segments but no {PLAN_FILE}: choose a new folder name")
        else:
            write_json(note, {**plan, WAYS: list(ways)})

    def path(self, segment: Segment) -> Path:
        return self.folder / SEGMENT_FILE.format(segment.index)

    def load(self, segment: Segment) -> torch.Tensor | None:
        """New frames of a finished segment, or None; what is damaged counts as missing."""
        try:
            file = TensorFile(self.path(segment))
            if file.metadata.get("run") != self.run or "latents" not in file:
                return None
            # A copy: no handle stays on the file, which another process may be about to replace
            latents = file.tensor("latents").clone()
        except CheckpointError:
            return None
        whole = latents.dtype == torch.float32 and latents.ndim == 4 and len(latents) == segment.last - segment.first
        return latents if whole else None

    def save(self, segment: Segment, latents: torch.Tensor) -> None:
        """Write a finished segment.

        Raises
        ------
        WriteError : it cannot be written; the sentence says that the finished segments are kept.
        """
        latents = latents.detach().float().cpu().contiguous()
        try:
            write_tensors(self.path(segment), {"latents": latents}, {"run": self.run})
        except WriteError as error:
            raise WriteError(
                f"{error}. The finished segments ({segment.index} of {self.count}) in {self.folder} are intact: "
                "queue the same graph again to resume"
            ) from error


SampleSegment = Callable[[Segment, HeldFrames | None, Progress | None], torch.Tensor]


def run_segments(
    segments: list[Segment],
    store: SegmentStore,
    sample_segment: SampleSegment,
    progress: Progress | None = None,
    team: Team | None = None,
) -> Iterator[tuple[Segment, torch.Tensor]]:
    """Give every segment with its new frames' latents, on the CPU in float32, sampling those that are not on disk.

    Parameters
    ----------
    sample_segment : (segment, what it holds, progress) -> latents of all its frames.
    progress : called with (frames done, frames) of the whole clip.
    team : processes that each go through the same segments; what the leader has on disk counts.
    """
    total, leads = segments[-1].last, team is None or team.leads
    most_held = max(segment.before for segment in segments) or 1
    tail: torch.Tensor | None = None
    head: torch.Tensor | None = None
    for segment in segments:
        latents = store.load(segment) if leads else None
        latents = latents if team is None else team.leaders_tensor(latents)
        if latents is None:
            held = None
            if segment.held:
                known = [tail[len(tail) - segment.before :]] if segment.before else []
                known += [head[: segment.after]] if segment.after else []
                held = HeldFrames(segment.held, torch.cat(known))

            def part_progress(done: int, steps: int, segment: Segment = segment) -> None:
                if progress is not None:
                    progress(segment.first + (segment.last - segment.first) * done // max(steps, 1), total)

            whole = sample_segment(segment, held, part_progress)
            latents = whole[segment.before : segment.frames - segment.after].float().cpu()
            if leads:
                store.save(segment, latents)
                # From disk in any case, so that a resumed run goes on from the very same numbers
                latents = store.load(segment)
        if segment.index == 0:
            head = latents[: segments[-1].after].clone()
        tail = latents if tail is None else torch.cat([tail, latents])[-most_held:]
        yield segment, latents


def torch_sampler(
    denoiser: ClipDenoiser,
    conditions: ClipConditions,
    frames: int,
    seed: int,
    config: SamplingConfig,
    device: torch.device | str = "cpu",
    loop: bool = False,
    pin: Pin | None = None,
    denoise: float = 1.0,
    speed: SpeedOptions = EXACT,
    team: Team | None = None,
) -> SampleSegment:
    """`sample_segment` in plain torch for a clip of so many frames."""

    def sample_segment(segment: Segment, held: HeldFrames | None, progress: Progress | None) -> torch.Tensor:
        reference = conditions.reference
        noise = segment_noise(seed, segment, frames, reference)
        part = conditions.part(segment.start, segment.frames, frames)
        wrap = loop and segment.frames == frames
        places = [(segment.start + frame) % frames for frame in range(segment.frames)]
        own = None if pin is None else Pin(*pin.part(places))
        more = {"speed": speed, "progress": progress, "pin": own, "denoise": denoise, "team": team}
        more["device"] = torch.device(device)
        return sample(denoiser, part, noise, config, wrap=wrap, held=held, **more)

    return sample_segment


def segment_noise(seed: int, segment: Segment, frames: int, reference: ReferenceFeatures) -> torch.Tensor:
    """Noise (n, c, h, w), of the reference's size, of a segment's frames in a clip of so many frames."""
    places = [(segment.start + frame) % frames for frame in range(segment.frames)]
    return frame_noise(seed, places, reference.height, reference.width, reference.channels)

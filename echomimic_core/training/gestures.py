"""Train a gesture planner on prepared clips: python -m echomimic_core.training.gestures PREPARED OUT.

It learns how the people of the clips move their hands and arms with their voice, and writes OUT/planner.safetensors for
Voice Gestures (ComfyUI's models/echomimic/gestures) and OUT/log.csv with both losses. It runs on a processor.
"""

import argparse
import csv
import io
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..files.durable import make_folder, write_text
from ..gestures.chains import chains_of
from ..gestures.cutting import to_body
from ..gestures.library import built_in
from ..gestures.trained import (
    CHUNK,
    GesturePlanner,
    PlannerConfig,
    features_of,
    save_planner,
    sigma,
    signal,
    voice_frames,
)
from ..runtime import Progress
from .data.shards import Clip, ShardError, read_manifest

LEAST_CHUNKS = 12  # Of a clip.
HELD_OUT = 10  # One source of so many is for validation.
NOISES = 2  # Levels of noise per chunk and step.
HISTORY_NOISE, FORGOTTEN = 0.6, 0.25  # Most noise on the chunk before, and how often it is not known.
EMA = 0.999
REPORT, VALIDATION_CLIPS = 100, 32


@dataclass(frozen=True)
class LearnSettings:
    """steps of `batch` stretches of `chunks` chunks; the learning rate falls to 0 along a cosine."""

    steps: int = 2000
    batch: int = 8
    chunks: int = 60
    rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A clip with its motion (F, FEATURES) and that of its mirror image; the voice is read when it is needed."""

    clip: Clip
    motion: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.motion[0]) // CHUNK


def examples_of(clips: Sequence[Clip], progress: Progress | None = None) -> list[Example]:
    """The clips that show both hands and arms throughout, brought to one body.

    Raises
    ------
    ValueError : there is none.
    """
    base, found = built_in().base, []
    for number, clip in enumerate(clips):
        if progress is not None:
            progress(number, len(clips))
        try:
            chains = chains_of(to_body(clip.pose(), base))
        except ShardError:
            raise
        except ValueError:  # A headshot, or a hand is out of sight.
            continue
        if len(chains) >= LEAST_CHUNKS * CHUNK:
            motion = (features_of(chains).astype(np.float32), features_of(chains.mirrored()).astype(np.float32))
            found.append(Example(clip, motion))
    if not found:
        raise ValueError(
            f"none of the {len(clips)} clips shows both hands and arms for {LEAST_CHUNKS * CHUNK} frames: prepare "
            "videos in which the hands stay in the picture"
        )
    return found


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Those to learn from and those to validate on; clips of one video stay together."""
    held = [zlib.crc32(example.clip.info.shard.encode()) % HELD_OUT == 0 for example in examples]
    if all(held) or not any(held):
        held = [example.clip.info.shard == examples[0].clip.info.shard for example in examples]
    learnt = [example for example, out in zip(examples, held, strict=True) if not out]
    return learnt or list(examples), [example for example, out in zip(examples, held, strict=True) if out]


def fit(planner: GesturePlanner, examples: Sequence[Example]) -> None:
    """Set how the planner normalises motion and voice, and how long bones may be."""
    fit_motion(planner, [motion for example in examples for motion in example.motion])
    heard = [voice_frames(torch.from_numpy(e.clip.audio()), len(e) * CHUNK).mean(1) for e in examples[:64]]
    planner.voice_mean.copy_(torch.cat(heard).mean(0))
    planner.voice_scale.copy_(torch.cat(heard).std(0).clamp_min(1e-3))


def fit_motion(planner: GesturePlanner, motions: Sequence[np.ndarray]) -> None:
    """Take the principal components of chunks of motions (F, FEATURES), and the range of each bone's length."""
    size, latent = planner.mean.numel(), planner.config.latent
    total, squares, count, lengths = np.zeros(size), np.zeros((size, size)), 0, []
    for motion in motions:
        chunks = motion[: len(motion) // CHUNK * CHUNK].reshape(-1, size).astype(np.float64)
        total, squares, count = total + chunks.sum(0), squares + chunks.T @ chunks, count + len(chunks)
        bones = motion.reshape(len(motion), 2, -1, 2)[:, :, 1:]
        lengths.append(np.quantile(np.linalg.norm(bones, axis=-1), [0, 1], axis=0))
    mean = total / count
    values, vectors = np.linalg.eigh(squares / count - np.outer(mean, mean))
    found = {
        "mean": mean,
        "basis": vectors[:, ::-1][:, :latent].T.copy(),
        "scale": np.sqrt(np.maximum(values[::-1][:latent], 1e-10)),
        "least": np.min([low for low, _ in lengths], axis=0),
        "most": np.max([high for _, high in lengths], axis=0),
    }
    for name, value in found.items():
        getattr(planner, name).copy_(torch.from_numpy(value))


def batch_of(examples: Sequence[Example], rng: np.random.Generator, settings: LearnSettings, size: int) -> tuple:
    """(motion (B, n * CHUNK, FEATURES), frames of the voice (B, n * CHUNK, 2, 5, 384)) of random stretches."""
    weights = np.array([len(example) for example in examples], float)
    drawn = [examples[i] for i in rng.choice(len(examples), size, p=weights / weights.sum())]
    chunks = min(settings.chunks, *(len(example) for example in drawn))
    motions, voices = [], []
    for example in drawn:
        first = int(rng.integers(len(example) - chunks + 1)) * CHUNK
        part = slice(first, first + chunks * CHUNK)
        motions.append(example.motion[int(rng.integers(2))][part])
        voices.append(voice_frames(torch.from_numpy(example.clip.audio()), part.stop)[part])
    return torch.from_numpy(np.stack(motions)), torch.stack(voices)


def loss_of(planner: GesturePlanner, motion: torch.Tensor, voice: torch.Tensor, generator) -> torch.Tensor:
    """Mean squared error of v, the chunk before being noisy and sometimes unknown, as it is when the planner plans."""
    latents = planner.encode(motion)
    before = torch.cat([torch.zeros_like(latents[:, :1]), latents[:, :-1]], 1)
    level = HISTORY_NOISE * torch.rand(len(latents), 1, 1, generator=generator)
    before = before + level * torch.randn(before.shape, generator=generator)
    known = (torch.rand(*latents.shape[:2], 1, generator=generator) > FORGOTTEN).float()
    known[:, 0] = 0
    given = planner.plan(planner.hear(voice), before, known).flatten(0, 1).repeat(NOISES, 1)
    clean = latents.flatten(0, 1).repeat(NOISES, 1)
    time = torch.rand(len(clean), generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    share, rest = signal(time)[:, None], sigma(time)[:, None]
    predicted = planner.head(share * clean + rest * noise, time, given)
    return (predicted - (share * noise - rest * clean)).square().mean()


def learn(
    examples: Sequence[Example],
    out: Path,
    settings: LearnSettings = LearnSettings(),  # noqa: B008 (frozen)
    config: PlannerConfig = PlannerConfig(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> list[dict]:
    """Train a planner and write it whenever its validation loss is the best so far; the log's rows.

    progress : called with (steps done, steps) after each step; may raise to stop.
    """
    torch.manual_seed(settings.seed)
    learnt, held_out = split(examples)
    planner, mean = GesturePlanner(config), GesturePlanner(config)
    fit(planner, learnt)
    mean.load_state_dict(planner.state_dict())
    mean.eval()
    optimizer = torch.optim.AdamW(planner.parameters(), settings.rate, betas=(0.9, 0.99), weight_decay=0.05)
    warm = min(200, max(settings.steps // 10, 1))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm, 0.5 + 0.5 * np.cos(np.pi * min(step / settings.steps, 1))),
    )
    rng, generator = np.random.default_rng(settings.seed), torch.Generator().manual_seed(settings.seed)
    rows, recent, best = [], [], np.inf
    for step in range(1, settings.steps + 1):
        loss = loss_of(planner, *batch_of(learnt, rng, settings, settings.batch), generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(planner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        decay = min(EMA, step / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(mean.parameters(), planner.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        recent.append(loss.item())
        if not np.isfinite(recent[-1]):
            raise ArithmeticError(f"the loss became {recent[-1]} at step {step}: choose a smaller --rate")
        if step % REPORT == 0 or step == settings.steps:
            held = validate(mean, held_out, settings)
            rows.append({"step": step, "loss": round(float(np.mean(recent)), 5), "held_out": round(held, 5)})
            recent = []
            write_log(out / "log.csv", rows)
            if held < best:
                best = held
                save_planner(mean, out / "planner.safetensors")
        if progress is not None:
            progress(step, settings.steps)
    return rows


@torch.no_grad()
def validate(planner: GesturePlanner, examples: Sequence[Example], settings: LearnSettings) -> float:
    """The loss on held-out clips, always with the same stretches and noise."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    size = min(VALIDATION_CLIPS, max(settings.batch, 4))
    return float(loss_of(planner, *batch_of(examples, rng, settings, size), generator))


def write_log(path: Path, rows: list[dict]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, ["step", "loss", "held_out"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 if something is wrong with what was given."""
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.training.gestures", description=__doc__)
    parser.add_argument("prepared", type=Path, nargs="+", help="folders made by echomimic_core.training.prepare")
    parser.add_argument("out", type=Path, help="folder to write")
    given_of = {"steps": int, "batch": int, "rate": float, "seed": int}
    for name, kind in given_of.items():
        parser.add_argument(f"--{name}", type=kind, default=getattr(LearnSettings, name), help="default %(default)s")
    given = parser.parse_args(arguments)
    try:
        settings = LearnSettings(**{name: getattr(given, name) for name in given_of})
        if min(settings.steps, settings.batch) < 1 or not 0 < settings.rate < 1 or settings.seed < 0:
            raise ValueError("--steps and --batch must be 1 or more, --rate between 0 and 1, --seed 0 or more")
        make_folder(given.out)
        clips = [clip for folder in given.prepared for clip in read_manifest(folder)]
        examples = examples_of(clips)
        seconds = sum(len(example) for example in examples) * CHUNK / 24
        print(f"{len(examples)} of {len(clips)} clips, {seconds / 60:.1f} minutes", flush=True)
        rows = learn(examples, given.out, settings, progress=_tell)
    except (ValueError, OSError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the best planner so far is kept", file=sys.stderr)
        return 130
    print(json.dumps(rows[-1]), given.out / "planner.safetensors")
    return 0


def _tell(done: int, total: int) -> None:
    print(f"step {done} of {total}", end="\n" if done == total else "\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

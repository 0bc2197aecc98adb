"""The clip, window by window, inside core's samplers.

Core's own machinery for context windows asks a handler how to evaluate the conditions of a long latent. Ours hands core
a few windows at a time, so that core too holds nothing the size of the clip but latents, decides again for each whether
both halves of guidance fit together, and gets another chance with fewer windows when memory runs out.
"""

import comfy.context_windows
import torch

from ..echomimic_core.sampling.clip import upload
from ..echomimic_core.sampling.denoiser import WindowAverage, guide
from ..echomimic_core.sampling.memory import Batching
from ..echomimic_core.sampling.speed import EXACT
from .payload import BATCHING, GUIDANCE, MOMENT, PAYLOAD, SPEED, WINDOWS, PreparedHalf, sampling_step
from .progress import window_report

# What core can hang on a condition that is laid out for the whole clip at once.
WHOLE_CLIP_ONLY = ("mask", "area", "control", "gligen")


class WindowHandler(comfy.context_windows.ContextHandlerABC):
    def should_use_context(self, model, conds, x_in, timestep, model_options) -> bool:
        entries = [entry for cond in conds if cond is not None for entry in cond]
        return all(prepared(entry) is not None for entry in entries) and not any(
            entry.get(key) is not None for entry in entries for key in WHOLE_CLIP_ONLY
        )

    def get_resized_cond(self, cond_in, x_in, window, device=None) -> list:
        """Our conditions serve every window as they are: the denoiser draws what it needs."""
        return cond_in

    def execute(self, calc_cond_batch, model, conds, x_in, timestep, model_options) -> list[torch.Tensor]:
        """Clean latents (F, 4, height, width) of every condition, averaged over the windows of each frame.

        With a guidance scale in the options all of them are the guided ones.
        """
        options = dict(model_options.get("transformer_options", {}))
        scale, speed = options.pop(GUIDANCE, None), options.get(SPEED, EXACT)
        # Read from the device once a step: reading waits for it
        step, level = sampling_step({**options, "sigmas": timestep}), timestep_of(model, timestep)
        half = leading_half(conds)
        windows = half.windows.at_step(len(x_in), step, speed)
        wanted = [index for index, cond in enumerate(conds) if cond is not None]
        plain = [index for index in wanted if not is_conditional(conds[index])]
        if len(plain) < len(wanted) and not speed.guided_at(level):
            wanted = [index for index in wanted if index not in plain]
        guided = scale is not None and len(wanted) > 1
        # Latents of long clips lie in main memory
        device = x_in.device if half.clip is None else half.clip.device
        rows = upload(torch.tensor(windows), x_in.device)
        average = WindowAverage(1 if guided else len(wanted), x_in)

        def run(chosen: list[int], index: torch.Tensor, batch: list[list[int]], batching: Batching) -> dict:
            given = [cond if i in chosen else None for i, cond in enumerate(conds)]
            extra = {**options, WINDOWS: batch, BATCHING: batching, MOMENT: (step, level)}
            levels = timestep[index] if len(timestep) == len(x_in) else timestep
            extra = {**model_options, "transformer_options": extra}
            results = calc_cond_batch(model, given, upload(x_in[index], device), levels.to(device), extra)
            return {i: results[i] for i in chosen}

        def evaluate(first: int, batch: list[list[int]], batching: Batching) -> None:
            index = rows[first : first + len(batch)]
            groups = [wanted] if batching.halves_together else [[i] for i in wanted]
            results: dict[int, torch.Tensor] = {}
            for group in groups:
                results.update(run(group, index.flatten(), batch, batching))
            if guided:
                posed = next(i for i in wanted if i not in plain)
                results = {0: guide(results[plain[0]].float(), results[posed].float(), scale)}
            average.add(index, torch.stack(list(results.values())))

        half.runner.run(windows, evaluate, guided=len(wanted) > 1, progress=window_report(options))
        means = average.mean(windows)
        found = dict.fromkeys(wanted, means[0]) if guided else dict(zip(wanted, means, strict=True))
        for index in plain:
            # Both halves the same: whatever guidance makes of them, it is the one result there is
            found.setdefault(index, means[0])
        return [found[i].to(x_in) if i in found else torch.zeros_like(x_in) for i in range(len(conds))]


def is_conditional(cond: list[dict]) -> bool:
    return any(prepared(entry).clip is not None for entry in cond)


def timestep_of(model, sigma: torch.Tensor) -> float:
    return float(model.model_sampling.timestep(sigma.flatten()[:1]).flatten()[0])


def prepared(entry: dict) -> PreparedHalf | None:
    """Our part of a condition that core has made ready for sampling."""
    ours = entry.get("model_conds", {}).get(PAYLOAD)
    return None if ours is None else ours.cond


def leading_half(conds: list) -> PreparedHalf:
    """The half whose windows and runner count: a conditional one where there is one."""
    halves = [prepared(entry) for cond in conds if cond is not None for entry in cond]
    return next((half for half in halves if half.clip is not None), halves[0])

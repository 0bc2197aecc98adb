"""The one progress bar, and cancelling."""

import comfy.model_management
import comfy.utils
import latent_preview

from .payload import PROGRESS


def window_report(options: dict):
    """A progress callable that obeys ComfyUI's cancel and tells the node's own progress bar."""
    report = options.get(PROGRESS)

    def progress(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if report is not None:
            report(done, total)

    return progress


def cancellable_progress():
    """A progress(done, total) that moves ComfyUI's bar and stops as soon as the user cancels."""
    bar = comfy.utils.ProgressBar(1)

    def progress(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return progress


def until_cancelled(frames):
    """The frames, also those that are only passed over on the way to a late start, until the user cancels."""
    for frame in frames:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield frame


def window_progress(model, steps: int):
    """(progress of windows within a step, callback of core's samplers): one bar that moves with every window."""
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    bar = comfy.utils.ProgressBar(steps)
    state = {"step": 0, "windows": 1}

    def report(done: int, total: int) -> None:
        state["windows"] = total
        bar.update_absolute(min(state["step"], steps - 1) * total + done, steps * total)

    def callback(step: int, clean, x, total_steps: int) -> None:
        state["step"] = step + 1
        middle = clean[len(clean) // 2 :][:1]
        preview = previewer.decode_latent_to_preview_image("JPEG", middle) if previewer else None
        windows = state["windows"]
        bar.update_absolute((step + 1) * windows, total_steps * windows, preview)

    return report, callback

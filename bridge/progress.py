"""The one progress bar, and cancelling."""

import comfy.model_management
import comfy.utils
import latent_preview

# Transformer option with a window-wise progress callable.
PROGRESS = "echomimic_progress"


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


def until_cancelled(items):
    """The items until the user cancels: frames, also those only passed over on the way to a late start, or steps."""
    for item in items:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield item


class SamplingProgress:
    """One bar for a sampling run, which moves with every window and shows the clip's middle frame after every step.

    Parameters
    ----------
    update : called with (windows done, windows of the whole run, preview or None); by default the node's own bar.
    """

    def __init__(self, model, steps: int, update=None):
        self.update = update or comfy.utils.ProgressBar(steps).update_absolute
        self.steps, self.step, self.windows = steps, 0, 1
        self._device = model.load_device
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def on_windows(self, done: int, total: int) -> None:
        """For the denoiser: windows done of those of one step."""
        self.windows = total
        self.update(min(self.step, self.steps - 1) * total + done, self.steps * total, None)

    def on_step(self, step: int, clean, x, total_steps: int) -> None:
        """For ComfyUI's samplers, after every step."""
        self.step = step + 1
        middle = clean[len(clean) // 2 :][:1].to(self._device)
        preview = self._previewer.decode_latent_to_preview_image("JPEG", middle) if self._previewer else None
        self.update(self.step * self.windows, total_steps * self.windows, preview)

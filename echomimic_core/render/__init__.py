"""The whole way without ComfyUI: a picture and a voice become a video, from files, as a library or by a command.

    models = load_models("model.safetensors")
    for picture in clip(models, photo, voice):
        ...

`python -m echomimic_core.render` makes one video, or all of a list of jobs.
"""

from .clip import ClipSettings, clip
from .jobs import Job, read_jobs, render_job
from .models import Models, load_models

__all__ = ["ClipSettings", "Job", "Models", "clip", "load_models", "read_jobs", "render_job"]

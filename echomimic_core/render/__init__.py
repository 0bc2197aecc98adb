"""The whole way without ComfyUI: a picture and a voice become a video, from files, as a library or by a command.

    models = load_models("model.safetensors")
    for picture in clip(models, photo, voice):
        ...

`python -m echomimic_core.render` makes one video, or all of a list of jobs.
"""

from .clip import ClipSettings, Hands, clip
from .jobs import Job, Unusable, read_jobs
from .make import check_job, render_job
from .models import Models, load_models
from .scene import Scene, make_scene

__all__ = [
    "ClipSettings",
    "Hands",
    "Job",
    "Models",
    "Scene",
    "Unusable",
    "check_job",
    "clip",
    "load_models",
    "make_scene",
    "read_jobs",
    "render_job",
]

"""The store of an evaluation: the clips, and what the passes over their frames found."""

from dataclasses import dataclass, field

import numpy as np

from ..pose import HandPose
from .clips import CLIP, Clip
from .metrics import hands
from .metrics.registry import METRICS
from .passes.cache import Cache
from .passes.extract import Result
from .passes.jobs import Job
from .sets import match
from .settings import Settings

DISTRIBUTIONS = {metric.extractor for metric in METRICS if metric.scope == "set"}

WHOSE = {
    "generated": "{}",
    "reference": "the real clip of {}",
    "portrait": "the reference picture of {}",
    "pair": "{}",
}
NEEDED = {
    "generated": "pictures",
    "reference": "real clip",
    "portrait": "reference picture",
    "pair": "real clip to compare with",
}


@dataclass
class ClipReport:
    """What is to be said of one clip: remarks (sentences), and curves over its frames by name, each (F,)."""

    name: str
    fps: float = 24.0
    remarks: list[str] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)

    def remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)


@dataclass(frozen=True)
class Kept:
    """Features of a clip for a distribution: how many, and the arrays themselves or where the cache has them."""

    count: int
    key: tuple | None
    arrays: dict[str, np.ndarray] | None = None


def _pairing(generated: list[Clip], reference: list[Clip], unpaired: bool) -> str:
    if unpaired:
        return f"none: {len(generated)} generated and {len(reference)} real clips, compared as sets"
    if not any(clip.kind == "video" for clip in reference):
        return "no real clips"
    alone = len(generated) == len(reference) == 1
    how = "the one generated clip with the one real clip" if alone else "generated and real clips of the same name"
    return f"{how}, each generated frame with the real one shown at that time"


class Findings:
    """The clips of an evaluation, what was found in them, and what is to be said of them."""

    def __init__(
        self,
        generated: list[Clip],
        reference: list[Clip],
        pictures: list[Clip],
        settings: Settings,
        cache: Cache,
        unpaired: bool = False,
    ):
        self.settings, self.cache = settings, cache
        self.reports = {clip.name: ClipReport(clip.name) for clip in generated}
        self.generated, self.notes = generated, []
        pairs = match(generated, reference) if reference else [(clip, None) for clip in generated]
        if reference and not unpaired and not any(real for _, real in pairs):
            unpaired = True
            self.notes.append(
                "no reference has the name of a generated clip, so the two sets are compared as unpaired: by set "
                "metrics only"
            )
        # The real clips of an unpaired set, none where clips have a real one each.
        self.real_set = sorted((c for c in reference if c.kind != "pose"), key=lambda c: c.name) if unpaired else []
        self.unpaired = unpaired
        if unpaired:
            pairs = [(clip, None) for clip in generated]
        self.videos = {c.name: r for c, r in pairs if r is not None and r.kind == "video"}
        portraits = {c.name: r for c, r in pairs if r is not None and r.kind != "pose"}
        if pictures:
            portraits |= {c.name: p for c, p in match(generated, pictures) if p is not None}
        self.portraits = portraits
        self.pairing = _pairing(generated, reference, unpaired)
        self.has_videos = unpaired or any(clip.kind == "video" for clip in reference)
        taken = {clip.name for clip in generated} | {r.name for _, r in pairs if r is not None}
        unmatched = [c.name for c in reference if c.kind == "video" and c.name not in taken and not unpaired]
        self.absent = dict.fromkeys(sorted(unmatched), "no generated clip has the name of this real one")
        for clip, real in pairs:
            if reference and real is None and not unpaired:
                self.reports[clip.name].remark(f"the reference has nothing named {clip.name}")
        # Results by (which: "generated", "reference", "portrait" or "pair", name of the generated clip, extractor).
        self.results: dict[tuple[str, str, str], Result | Kept] = {}
        self.poses: dict[str, HandPose | str] = {}

    def read_pose(self, clip: Clip) -> None:
        try:
            self.poses[clip.name] = clip.pose()
        except ValueError as error:
            self.poses[clip.name] = str(error)
            self.reports[clip.name].remark(str(error))

    def take(self, job: Job, results: dict[str, Result], remarks: list[str]) -> None:
        """File the results of a pass under every clip they are for."""
        if any(job.clip is clip for clip in self.real_set):
            for name, result in results.items():
                if isinstance(result, str):
                    result = result.replace(CLIP, f"{job.clip.name} (real)")
                self.results["reference", job.clip.name, name] = self._light(job, name, result)
            return
        for clip in self.generated:
            if job.reference:
                kinds = ["pair"] if job.clip is clip and job.reference is self.videos.get(clip.name) else []
            elif job.limit:
                kinds = ["portrait"] if job.clip is self.portraits.get(clip.name) else []
            else:
                kinds = ["generated"] if job.clip is clip else []
                kinds += ["reference"] if job.clip is self.videos.get(clip.name) else []
            for kind in kinds:
                whose = WHOSE[kind].format(clip.name)
                for name, result in results.items():
                    if isinstance(result, str):
                        result = result.replace(CLIP, whose)
                    self.results[kind, clip.name, name] = self._light(job, name, result)
                    if isinstance(result, str) and (kind != "pair" or name != "lpips"):
                        self.reports[clip.name].remark(result)
                for sentence in remarks:
                    self.reports[clip.name].remark(sentence)

    def _light(self, job: Job, name: str, result: Result) -> Result | Kept:
        """Features of distributions stay on disk where they are cached: a test set of them would fill the memory."""
        if name in DISTRIBUTIONS and isinstance(result, dict):
            key = job.cache_key(name, self.settings)
            kept = key is not None and self.cache.holds(*key)
            return Kept(int(result["count"]), key, None if kept else result)
        return result

    def arrays(self, kind: str, clip: Clip, extractor: str) -> dict[str, np.ndarray] | Kept:
        """The results of an extractor; its sentence as ValueError."""
        result = self.results.get((kind, clip.name, extractor))
        if result is None:
            raise ValueError(f"{clip.name} has no {NEEDED[kind]}")
        if isinstance(result, str):
            raise ValueError(result)
        return result

    def pose(self, clip: Clip, extractor: str) -> HandPose:
        """The hands of a clip: its own if it is a pose, else those that were found."""
        if clip.kind == "pose":
            pose = self.poses[clip.name]
            if isinstance(pose, str):
                raise ValueError(pose)
            return pose
        found = self.arrays("generated", clip, extractor)
        width, height = (int(value) for value in found["size"])
        return hands.from_pixels(found["points"], found["scores"], width, height, float(found["fps"]))

    def remark(self, clip: Clip, sentence: str) -> None:
        """Tell something about a clip, once."""
        self.reports[clip.name].remark(sentence)

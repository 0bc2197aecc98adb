"""How an evaluation is run: where networks lie, on which device, and what changes the numbers."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..networks import local
from .passes.cache import file_hash
from .protocols import EDGES, FID_RESIZES, FVD_PROTOCOLS

# Fewer frames leave nothing after I3D's pooling over time.
LEAST_FRAMES = 9
PACK = Path(__file__).resolve().parents[2]


def default_folders(name: str) -> tuple[Path, ...]:
    """`models/<name>` of the working folder, and of the ComfyUI in whose custom_nodes the pack lies."""
    return (Path("models") / name, PACK.parents[1] / "models" / name)


@dataclass(frozen=True)
class Settings:
    """Settings of an evaluation; everything here can be pickled for worker processes.

    Attributes
    ----------
    folders : where feature networks are looked for.
    mediapipe : where MediaPipe's bundles are looked for, before `folders`.
    chosen : files for single networks, by the keys of `networks.local.NETWORKS`.
    device : of the networks, as torch names it. batch : frames that go through a network at once.
    clip_frames : frames of one sample of FVD. fvd : how clips become samples, see `protocols.FVD_PROTOCOLS`.
    set_size : clips on that side of a set, set by the evaluation itself.
    sync_crop : "face", or "whole" where frames are already face crops.
    fid_resize : of frames for FID and KID, see `protocols.FID_RESIZES`.
    edges : "even", or "public" as SyncNet's and Deep3DFaceRecon's public code has them, see `protocols.EDGES`.
    """

    folders: tuple[Path, ...] = field(default_factory=lambda: default_folders("echomimic/metrics"))
    mediapipe: tuple[Path, ...] = field(default_factory=lambda: default_folders("mediapipe"))
    chosen: dict[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    batch: int = 8
    clip_frames: int = 16
    fvd: str = "all"
    set_size: int = 1
    sync_crop: str = "face"
    fid_resize: str = "torch"
    edges: str = "even"

    def __post_init__(self):
        if self.batch < 1:
            raise ValueError(f"the batch is {self.batch}, but at least 1 frame goes through a network at once")
        if self.clip_frames < LEAST_FRAMES:
            raise ValueError(
                f"FVD samples of {self.clip_frames} frames are too short: I3D needs at least {LEAST_FRAMES}"
            )
        if self.fvd not in FVD_PROTOCOLS:
            raise ValueError(f"the FVD protocol is {self.fvd!r}, but it must be one of {', '.join(FVD_PROTOCOLS)}")
        if self.sync_crop not in ("face", "whole"):
            raise ValueError(f"the sync crop is {self.sync_crop!r}, but it must be 'face' or 'whole'")
        for what, value, known in (("FID resize", self.fid_resize, FID_RESIZES), ("edges", self.edges, EDGES)):
            if value not in known:
                raise ValueError(f"{what}: {value!r} is unknown, choose one of {', '.join(known)}")

    def find(self, network: str) -> Path | None:
        """The file of a network, or None."""
        return local.find(network, self._places(network), self.chosen)

    def missing(self, network: str) -> str:
        """The sentence for a network that `find` did not find."""
        return local.missing(network, self._places(network))

    def load(self, network: str):
        """(module, whether TorchScript) of a network that `find` finds; ValueError with a sentence otherwise."""
        path = self.find(network)
        if path is None:
            raise ValueError(self.missing(network))
        return local.load(network, path, self.device)

    def fingerprint(self, network: str) -> str:
        """Hash of a network's file, for the cache."""
        path = self.find(network)
        beside = path.with_name("alex.pth") if network == "lpips" else None
        return file_hash(path) + (file_hash(beside) if beside and beside.is_file() else "")

    def protocol(self) -> dict[str, str]:
        """What changes numbers, by name, for reports."""
        return {
            "FVD": f"{self.fvd}: {FVD_PROTOCOLS[self.fvd].format(self.clip_frames)}",
            "FID resize": f"{self.fid_resize}: {FID_RESIZES[self.fid_resize]}",
            "sync crop": self.sync_crop,
            "edges": f"{self.edges}: {EDGES[self.edges]}",
            "device": self.device,
        }

    @staticmethod
    def mediapipe_version() -> str:
        """The installed MediaPipe, empty without one."""
        try:
            return version("mediapipe")
        except PackageNotFoundError:
            return ""

    def _places(self, network: str) -> list[Path]:
        bundle = local.NETWORKS[network].files[0].endswith(".task")
        return [*self.mediapipe, *self.folders] if bundle else [*self.folders]

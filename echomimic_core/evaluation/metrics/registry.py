"""Every number: its name, definition, source, which way is better, and what the paper reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

# Columns of the paper's table on EMTD (arXiv 2411.10061).
PAPER_METHODS = ("AnimateAnyone", "MimicMotion", "EchoMimicV2")


@dataclass(frozen=True)
class Metric:
    """A number and what it means.

    Attributes
    ----------
    key : for the command line. name : for reports.
    extractor : what is taken from the frames for it; "compare" for those of frame pairs.
    scope : "set" over all clips at once, "clip" of each clip, "pair" of each clip and its real one.
    better : "higher", "lower" or "" where neither is.
    good : what a good value looks like, in words.
    alternative_to : key of the metric it may stand beside when that one's network is missing.
    paper : values of PAPER_METHODS.
    """

    key: str
    name: str
    extractor: str
    scope: str
    better: str
    definition: str
    source: str
    good: str
    alternative_to: str = ""
    paper: dict[str, float] = field(default_factory=dict)


def _paper(*values: float | None) -> dict[str, float]:
    return {method: value for method, value in zip(PAPER_METHODS, values, strict=True) if value is not None}


CYBERHOST = "CyberHost (arXiv 2409.01876), which names the metric; no code is published"
_HKC = "Mean confidence of the 2 x 21 hand keypoints over all frames, each clipped to 1; a missing hand counts as 0. {}"
_HKV = (
    "Standard deviation over time of x and y of every hand keypoint, averaged, in pixels at a short side of 768; "
    "frames without the hand are left out. {}"
)
_MEDIAPIPE_HANDS = "Keypoints by MediaPipe, whose confidence is one of the whole hand: not comparable with DWPose's."
_DWPOSE_HANDS = "Keypoints by DWPose on the whole frame, or those of a pose file."
_SYNC = (
    "SyncNet embeddings of 5-frame face crops at 25 fps and of MFCC at 16 kHz, L2 distance averaged over the clip "
    "for shifts of ±15 frames; {}. Averaged over clips."
)
_SYNCNET = "Chung & Zisserman 2016, Out of time: automated lip sync in the wild; their public evaluation"
_CSIM = (
    "Cosine of the {} face embeddings of the reference picture (else the first frame of the reference clip) and of "
    "each frame, averaged; a frame without a face counts as 0."
)
_FVD = (
    "Fréchet distance of the 400 logits of I3D (Kinetics-400) of stretches of {} frames without overlap, short side "
    "224 (bilinear), middle square, generated against real."
)
_EFID = "Fréchet distance of {} of all frames with a face, generated against real."
_DEEP3D = "EMO (arXiv 2402.17485), which names the metric, with Deep3DFaceRecon (arXiv 1903.08527)"

METRICS = (
    Metric(
        "fid",
        "FID",
        "inception",
        "set",
        "lower",
        "Fréchet distance of the 2048 pool3 features of Inception v3 of all frames, generated against real.",
        "Heusel et al. 2017 (arXiv 1706.08500), PyTorch weights of 2015-12-05",
        "under 50; below 2048 frames a side it is biased upwards",
        paper=_paper(58.98, 53.47, 49.33),
    ),
    Metric(
        "fvd",
        "FVD",
        "i3d",
        "set",
        "lower",
        _FVD.format(16),
        "Unterthiner et al. 2018 (arXiv 1812.01717); Carreira & Zisserman 2017 (arXiv 1705.07750)",
        "under 600; only sets of many clips compare well",
        paper=_paper(1016, 623, 598),
    ),
    Metric(
        "psnr",
        "PSNR",
        "compare",
        "pair",
        "higher",
        "−10·log10 of the mean squared error of two frames in 0..1, averaged over frames, then over clips; frames and "
        "clips that are equal have no finite value and count only if all are.",
        "Huynh-Thu & Ghanbari 2008; as scikit-image's peak_signal_noise_ratio with data_range=1",
        "above 20 dB, for a generated clip",
    ),
    Metric(
        "ssim",
        "SSIM",
        "compare",
        "pair",
        "higher",
        "Structural similarity in 0..1 of two RGB frames, 11 x 11 Gaussian window with σ 1.5, averaged over frames, "
        "then over clips.",
        "Wang et al. 2004; as scikit-image's structural_similarity with gaussian_weights and population covariance",
        "above 0.7",
        paper=_paper(0.729, 0.702, 0.738),
    ),
    Metric(
        "lpips",
        "LPIPS",
        "compare",
        "pair",
        "lower",
        "Learned distance of two frames on AlexNet's features (v0.1), averaged over frames, then over clips.",
        "Zhang et al. 2018 (arXiv 1801.03924)",
        "under 0.3",
    ),
    Metric(
        "efid",
        "E-FID",
        "deep3d",
        "set",
        "lower",
        _EFID.format("the 64 expression coefficients of Deep3DFaceRecon"),
        _DEEP3D,
        "under 2.5",
        paper=_paper(None, None, 2.218),
    ),
    Metric(
        "efid-blendshapes",
        "E-FID (blendshapes)",
        "blendshapes",
        "set",
        "lower",
        _EFID.format("MediaPipe's 52 blendshape scores") + " A stand-in of our own: not comparable with E-FID.",
        "MediaPipe face landmarker; no publication uses this number",
        "near 0; compare only with itself",
        alternative_to="efid",
    ),
    Metric(
        "sync-c",
        "Sync-C",
        "syncnet",
        "clip",
        "higher",
        _SYNC.format("C is the median over shifts minus the smallest"),
        _SYNCNET,
        "above 6; real speech gives 7 to 9",
        paper=_paper(0.987, 1.495, 7.219),
    ),
    Metric(
        "sync-d",
        "Sync-D",
        "syncnet",
        "clip",
        "lower",
        _SYNC.format("D is the smallest"),
        _SYNCNET,
        "under 8; real speech gives 6 to 7",
        paper=_paper(None, None, 7.021),
    ),
    Metric(
        "hkc",
        "HKC",
        "dwpose",
        "clip",
        "higher",
        _HKC.format(_DWPOSE_HANDS),
        CYBERHOST,
        "above 0.9",
        paper=_paper(0.809, 0.907, 0.923),
    ),
    Metric(
        "hkc-mediapipe",
        "HKC (MediaPipe)",
        "hands",
        "clip",
        "higher",
        _HKC.format(_MEDIAPIPE_HANDS),
        CYBERHOST,
        "that of the reference picture or the driving video: sharp photos of real hands have 0.8 to 1",
        alternative_to="hkc",
    ),
    Metric(
        "hkv",
        "HKV",
        "dwpose",
        "clip",
        "",
        _HKV.format(_DWPOSE_HANDS),
        CYBERHOST,
        "that of the driving pose: less means stiff hands, more means jitter",
        paper=_paper(None, None, 25.28),
    ),
    Metric(
        "hkv-mediapipe",
        "HKV (MediaPipe)",
        "hands",
        "clip",
        "",
        _HKV.format(_MEDIAPIPE_HANDS),
        CYBERHOST,
        "that of the driving pose: less means stiff hands, more means jitter",
        alternative_to="hkv",
    ),
    Metric(
        "csim",
        "CSIM",
        "arcface",
        "clip",
        "higher",
        _CSIM.format("ArcFace"),
        "Zakharov et al. 2019 (arXiv 1905.08233), with ArcFace (arXiv 1801.07698)",
        "above 0.5",
        paper=_paper(0.387, 0.526, 0.558),
    ),
    Metric(
        "csim-dlib",
        "CSIM (dlib)",
        "dlib",
        "clip",
        "higher",
        _CSIM.format("dlib") + " Not comparable with ArcFace's: strangers have about 0.85.",
        "dlib's face recognition ResNet",
        "above 0.95",
        alternative_to="csim",
    ),
    Metric(
        "mouth",
        "Mouth–voice correlation",
        "mouth",
        "clip",
        "higher",
        "Pearson correlation, over the frames with a face, of the opening of the inner lips (MediaPipe) and of the "
        "sound's level in dB. No network judges it: a quick sign of lip sync.",
        "This pack",
        "above 0.3; 0 means that the mouth does not follow the voice",
    ),
    Metric(
        "faces",
        "Faces found",
        "mouth",
        "clip",
        "higher",
        "Share of frames in which MediaPipe finds a face, every frame counted.",
        "This pack",
        "1",
    ),
    Metric(
        "hands",
        "Hands found",
        "hands",
        "clip",
        "higher",
        "Share of hands found (by MediaPipe) with a confidence of at least 0.3, two hands expected in every frame.",
        "This pack",
        "that of the driving pose",
    ),
)
BY_KEY = {metric.key: metric for metric in METRICS}
HANDS_BY_DWPOSE = replace(
    BY_KEY["hands"],
    name="Hands found (DWPose)",
    extractor="dwpose",
    definition=f"{BY_KEY['hands'].definition} By DWPose, because MediaPipe is not there: not comparable with it.",
)


def fvd(frames: int) -> Metric:
    """FVD of stretches of so many frames."""
    return replace(BY_KEY["fvd"], definition=_FVD.format(frames))


def choose(names: list[str] | None) -> list[Metric]:
    """Metrics by key or name, in any case ("FID", "sync-c", "e-fid"; "sync" is both); all of them for None.

    Raises
    ------
    ValueError : an unknown name.
    """
    if not names:
        return list(METRICS)
    chosen = set()
    for name in names:
        plain = name.strip().lower()
        found = {metric.key for metric in METRICS if plain in (metric.key, metric.name.lower())}
        found |= {"sync-c", "sync-d"} if plain == "sync" else set()
        if not found:
            raise ValueError(f"there is no metric {name!r}: choose from {', '.join(BY_KEY)}")
        chosen |= found
    return [metric for metric in METRICS if metric.key in chosen]

"""What finds hands, body and face in the frames of a clip: the built-in networks, or the mediapipe package."""

from ..bundles import Bundles


def open_detector(source=None, track: bool = False):
    """A detector, for a `with` block: `detector(pictures, times)` gives the finds of frames, in order.

    Parameters
    ----------
    source : networks for the built-in detector, on their device; bundles for the package; None loads the networks.
    track : follow hands, body and face from frame to frame, which is faster (built-in only).

    Raises
    ------
    ValueError : the package is not installed, or a bundle cannot be used.
    """
    if isinstance(source, Bundles):
        from .package import PackageDetector

        return PackageDetector(source)
    from .builtin import BuiltInDetector

    return BuiltInDetector(source, track)

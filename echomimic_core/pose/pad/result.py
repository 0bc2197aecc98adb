"""What the Pose Pad gives out: the placed pose, the first figure, or the corrected clip."""

from ..hand_pose import HandPose
from .mend import mended
from .points import pose
from .presets import start_key
from .value import Pad, check_picture

# Where nothing is connected the page shows the first figure on a square of so many pixels a side.
_NO_PICTURE = (768, 768)


def result(placed: Pad | None, size: tuple[int, int] | None = None, ground: HandPose | None = None) -> HandPose:
    """The pose of a pad; of an untouched one (None) the first figure, or the clip as it is.

    size : width and height of the connected picture. Over a clip (`ground`) it does not matter.

    Raises
    ------
    ValueError : the picture, or over a clip the clip, has another shape than what the pose was placed on.
    """
    if ground is not None:
        return ground if placed is None else mended(ground, placed)
    if placed is None:
        width, height = size or _NO_PICTURE
        placed = Pad(width, height, keys=(start_key(width, height),))
    if size is not None:
        check_picture(placed, *size)
    return pose(placed, *(size or ()))

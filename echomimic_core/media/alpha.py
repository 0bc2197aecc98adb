"""Video files with an alpha channel, for editors."""

import numpy as np

from .video import VideoWriter


class AlphaWriter(VideoWriter):
    """Write a QuickTime file (ProRes 4444, AAC) of frames with an alpha channel, for editors; as `VideoWriter`.

    `write` takes frames (n, height, width, 4) uint8, whose colours are not multiplied by alpha.
    """

    container, codec, pixels, channels = "mov", "prores_ks", "yuva444p10le", 4

    def _picture(self, picture: np.ndarray):
        import av

        return av.VideoFrame.from_ndarray(picture, format="rgba")

    def _options(self) -> dict[str, str]:
        return {"profile": "4444"}

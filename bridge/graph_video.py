"""A VIDEO of the graph as a clip of the evaluation."""

from dataclasses import dataclass

from ..echomimic_core.evaluation.clips import Clip
from ..echomimic_core.media.sound import read_mono
from ..echomimic_core.media.video import frame_rate, read_frames
from ..echomimic_core.pose.detect import between
from .video import reader


@dataclass(frozen=True, eq=False)
class GraphVideo(Clip):
    """A VIDEO of the graph that is in a file: read frame by frame, with the part that the graph has cut out.

    source : path or BytesIO, which may also be that of another clip: each reading opens it again.
    begin, duration : seconds of the file; a duration of 0 is to its end.
    """

    source: object = None
    begin: float = 0.0
    duration: float = 0.0

    def fps(self) -> float:
        return frame_rate(reader(self.source))

    def frames(self, fps=None):
        for seconds, picture in between(read_frames(reader(self.source), fps), self.begin, self.duration):
            yield seconds - self.begin, picture

    def mono(self):
        return read_mono(reader(self.source), self.begin, self.duration)

    def length(self) -> int:
        left = max(self.header_length(reader(self.source)) - int(self.begin * self.fps()), 1)
        return min(max(int(self.duration * self.fps()), 1), left) if self.duration else left

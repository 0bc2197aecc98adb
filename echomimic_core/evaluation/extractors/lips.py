"""Lips and sound for Sync-C and Sync-D."""

from collections import deque

import numpy as np

from .. import faces
from ..clips import CLIP, Clip, sound
from ..faces import Face
from ..metrics import sync
from ..settings import Settings
from .base import Batched


class Sync(Batched):
    """Sync of lips and sound by SyncNet at 25 fps, over all stretches of 5 frames.

    As in the public pipeline, the face box is a running median of 13 frames and a lost face keeps its box for 25.
    """

    networks = ("syncnet",)
    MEDIAN = 13
    HOLD = 25

    @classmethod
    def options(cls, settings):
        return (settings.sync_crop, settings.edges)

    def __init__(self, clip: Clip, fps: float, settings: Settings):
        super().__init__(clip, fps, settings)
        self.needs_face = settings.sync_crop == "face"
        self.public = settings.edges == "public"

    def __enter__(self):
        self.network, _ = self.settings.load("syncnet")
        # Before any frame is read: without sound the faces need not be looked for.
        self.waveform = sound(self.clip)
        self.crops: deque = deque(maxlen=sync.WINDOW_FRAMES)
        self.pending: deque = deque()
        self.boxes: deque = deque(maxlen=self.MEDIAN)
        self.lost, self.last_box = 0, None
        self.lips, self.seen = [], []
        self.shown, self.start, self.wanted, self.step = None, None, 0, 1 / self.fps
        self.previous = 0.0
        return self

    def frame(self, seconds, picture, face) -> None:
        """Bring the frames to 25 a second: at each moment the nearest, since the last shown would come late."""
        self.start = seconds if self.start is None else self.start
        seconds -= self.start
        if self.shown is not None:
            self._show_until((self.previous + seconds) / 2)
            self.step = seconds - self.previous if seconds > self.previous else self.step
        self.previous, self.shown = seconds, (picture, face)

    def _show_until(self, seconds: float) -> None:
        while self.wanted / sync.FPS < seconds - 1e-3:
            self._at_25(*self.shown)
            self.wanted += 1

    def _at_25(self, picture: np.ndarray, face: Face | None) -> None:
        if not self.needs_face:
            self._push(faces.sync_whole(picture))
            return
        if face is not None:
            left, top, right, bottom = face.box
            half = max(right - left, bottom - top) / 2
            self.last_box, self.lost = np.array([(left + right) / 2, (top + bottom) / 2, half]), 0
        else:
            self.lost += 1
        known = self.last_box is not None and self.lost <= self.HOLD
        self.boxes.append(self.last_box if known else np.full(3, np.nan))
        self.pending.append(picture)
        # A picture is cropped once its median can look as far ahead as back.
        if len(self.pending) > self.MEDIAN // 2:
            self._crop(len(self.boxes) - len(self.pending))

    def _crop(self, position: int) -> None:
        picture = self.pending.popleft()
        boxes = np.array(self.boxes)
        near = boxes[max(position - self.MEDIAN // 2, 0) : position + self.MEDIAN // 2 + 1]
        if np.isnan(boxes[position]).any():
            self._push(None)
        else:
            near = near[~np.isnan(near).any(1)]
            if self.public:
                near = np.concatenate([near, np.zeros((self.MEDIAN - len(near), 3))])
            self._push(faces.sync_crop(picture, *np.median(near, axis=0)))

    def _push(self, crop: np.ndarray | None) -> None:
        self.crops.append(crop)
        if len(self.crops) < sync.WINDOW_FRAMES:
            return
        self.seen.append(all(crop is not None for crop in self.crops))
        if self.seen[-1]:
            self.add(np.stack(self.crops))

    def process(self, items) -> None:
        self.lips.append(sync.embed_lips(self.network, np.stack(items), self.settings.device))

    def finish(self):
        if self.shown is not None:
            self._show_until(self.previous + self.step)
        while self.pending:
            self._crop(len(self.boxes) - len(self.pending))
        self.flush()
        seen = np.array(self.seen, bool)
        if not seen.any():
            raise ValueError(f"{CLIP} does not have 5 consecutive frames with a face at 25 fps, which lip sync needs")
        lips = np.zeros((len(seen), self.lips[0].shape[1]), np.float32)
        places = np.flatnonzero(seen)
        for rows in self.lips:
            lips[places[: len(rows)]] = rows
            places = places[len(rows) :]
        self.lips = []
        heard = self.waveform[round(self.start * sync.RATE) :]
        count = len(seen)
        if self.public:
            # Of as many frames as the sound has too; the last five begin no window, where four would do.
            count = min(count + sync.WINDOW_FRAMES - 1, len(heard) * sync.FPS // sync.RATE) - sync.WINDOW_FRAMES
        windows = sync.sound_windows(heard, max(count, 0))
        heard_as = sync.embed_sound(self.network, windows, self.settings.device)
        score = sync.sync_score(lips, heard_as, seen)
        return {name: np.array(value) for name, value in vars(score).items()} | {"seen": seen}

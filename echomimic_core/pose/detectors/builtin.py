"""The built-in detector: the networks of `landmarks` on whole batches of frames, or from frame to frame."""

import numpy as np
import torch

from ...config import HANDS
from ...landmarks import BODIES, FACES, Tracker, Wanted, as_pictures, find_in_areas, shared_networks
from ...landmarks import HANDS as HAND_KIND
from ...landmarks.hands import read_hands
from ...landmarks.lanes import side_by_side
from ...landmarks.regions import whole
from .frame import Frame, make_frame
from .sides import Sides, hand_areas, head_area

_CONFIDENCE = 0.4
AREA_HANDS = Wanted(limit=2, detection=_CONFIDENCE, presence=_CONFIDENCE)
_ONE = Wanted(limit=1)
# While a hand stays lost, it is searched for around its wrist and in the whole picture in every so-manieth frame only.
_AREA_EVERY, _SEARCH_EVERY = 2, 4


class BuiltInDetector:
    """Finds one person's hands, body and face.

    Each picture is looked at again: the body in the whole of it, each hand around its wrist, and where a hand is not
    found there, in the whole picture. With `track`, what was found is followed instead.
    """

    def __init__(self, networks=None, track: bool = False):
        self.networks = networks or shared_networks()
        self.track = track
        # Frames that follow each other are found one by one, others together.
        self.batch = 1 if track else 8
        # How surely the left and the right hand of each frame of the last batch are hands at all, from 0 to 1.
        self.presences: list[list[float]] = []
        self._sides = Sides()
        self._body = Tracker(BODIES, self.networks, _ONE)
        self._hands_before: list = [None] * HANDS
        self._face = None
        self._since_area, self._since_search = _AREA_EVERY, _SEARCH_EVERY

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        pass

    @torch.inference_mode()
    def __call__(self, pictures, times: list[float]) -> list[Frame]:
        """Finds of pictures (frames, height, width, 3) uint8 at growing times in seconds."""
        pictures = as_pictures(pictures, self.networks)
        if self.track:
            return [self._followed(pictures[index : index + 1], time) for index, time in enumerate(times)]
        return self._found(pictures, times)

    def _found(self, pictures: torch.Tensor, times: list[float]) -> list[Frame]:
        height, width = pictures.shape[1:3]
        area, everywhere = whole(height, width), np.arange(len(pictures))
        areas = np.repeat(area[None], len(pictures), axis=0)
        bodies = [next(iter(found), None) for found in self._find(BODIES, pictures, everywhere, areas, _ONE)]
        places = [[] if body is None else hand_areas(body.points, height, width) for body in bodies]
        finds = self._in_places(HAND_KIND, pictures, places, AREA_HANDS)
        # Where a hand may still be missing, the whole picture is searched; who is missing is known by the same choice.
        chosen = self._chosen(finds, bodies, times, keep=False)
        lacking = np.array([index for index, hands in enumerate(chosen) if None in hands], int)
        if len(lacking):
            more = self._find(HAND_KIND, pictures, lacking, areas[lacking], AREA_HANDS)
            for index, hands in zip(lacking, more, strict=True):
                finds[index] = finds[index] + hands
        chosen = self._chosen(finds, bodies, times, keep=True)
        heads = [[] if body is None else [head_area(body.points)] for body in bodies]
        faces = [next(iter(found), None) for found in self._in_places(FACES, pictures, heads, _ONE)]
        self.presences = [[0.0 if hand is None else float(hand.presence) for hand in hands] for hands in chosen]
        return [_frame(*parts) for parts in zip(chosen, bodies, faces, strict=True)]

    def _find(self, kind, pictures, owners, areas, wanted) -> list[list]:
        return find_in_areas(kind, pictures, owners, areas, self.networks, wanted) if len(areas) else []

    def _in_places(self, kind, pictures, places: list[list], wanted) -> list[list]:
        """The finds of each picture in its squares, given as (middle, half side)."""
        owners = np.repeat(np.arange(len(places)), [len(squares) for squares in places])
        areas = [[*middle, 2 * radius, 0.0] for squares in places for middle, radius in squares]
        finds: list[list] = [[] for _ in places]
        for owner, found in zip(owners, self._find(kind, pictures, owners, np.array(areas), wanted), strict=True):
            finds[owner] = finds[owner] + found
        return finds

    def _chosen(self, finds: list[list], bodies: list, times: list[float], keep: bool) -> list[list]:
        """Left and right hand of each frame; `keep` remembers them for the frames that come after these."""
        sides = self._sides
        if not keep:
            sides = Sides()
            sides.last, sides.last_time = list(self._sides.last), list(self._sides.last_time)
        chosen = []
        for hands, body, time in zip(finds, bodies, times, strict=True):
            chosen.append(sides.choose(hands, *_points(body), time))
            sides.remember(chosen[-1], time)
        return chosen

    def _followed(self, picture: torch.Tensor, time: float) -> Frame:
        height, width = picture.shape[1:3]
        squares = [hand.next_square()[None] for hand in self._hands_before if hand is not None]
        owner = np.zeros(1, int)
        tasks = [lambda: self._body(picture), lambda: self._face_again(picture)]
        tasks += [lambda square=square: read_hands(picture, owner, square, self.networks) for square in squares]
        bodies, self._face, *hands = side_by_side(tasks, picture.device)
        body = next(iter(bodies), None)
        points, scores = _points(body)
        hands = HAND_KIND.distinct([hand for found in hands for hand in found if hand.presence > _CONFIDENCE])
        chosen = self._sides.choose(hands, points, scores, time)
        self._since_area += 1
        lost = [side for side, hand in enumerate(chosen) if hand is None]
        just_lost = any(self._hands_before[side] is not None for side in lost)
        if lost and body is not None and (just_lost or self._since_area >= _AREA_EVERY):
            self._since_area = 0
            hands += self._in_places(HAND_KIND, picture, [hand_areas(points, height, width, lost)], AREA_HANDS)[0]
            chosen = self._sides.choose(hands, points, scores, time)
        self._since_search += 1
        if None in chosen and self._since_search >= _SEARCH_EVERY:
            self._since_search = 0
            hands += self._find(HAND_KIND, picture, np.zeros(1, int), whole(height, width)[None], AREA_HANDS)[0]
            chosen = self._sides.choose(hands, points, scores, time)
        self._sides.remember(chosen, time)
        self._hands_before = chosen
        if self._face is None and body is not None:
            self._face = next(iter(self._in_places(FACES, picture, [[head_area(points)]], _ONE)[0]), None)
        return _frame(chosen, body, self._face)

    def _face_again(self, picture: torch.Tensor):
        """The face of the frame before in this one, None if it is not there."""
        if self._face is None:
            return None
        face = FACES.read(picture, np.zeros(1, int), self._face.next_square()[None], self.networks)[0]
        return face if face.presence > _ONE.presence else None


def _points(body) -> tuple[np.ndarray | None, np.ndarray | None]:
    return (None, None) if body is None else (body.points, body.scores)


def _frame(hands: list, body, face) -> Frame:
    return make_frame(hands, *_points(body), None if face is None else face.points)

"""People: everybody in a picture or a video, each with a box, a pose and a soft mask."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from ..config import HANDS
from ..landmarks import FACES, MASKED_BODIES, Networks, Wanted, as_pictures, find_in_areas, shared_networks
from ..landmarks import HANDS as HAND_KIND
from ..landmarks.bodies import Body, read_with_masks
from ..landmarks.regions import spread, to_picture, to_square, whole
from ..pose.clean import Detections, steady
from ..pose.detectors.builtin import AREA_HANDS
from ..pose.detectors.frame import Frame, make_frame
from ..pose.detectors.sides import Sides, hand_areas, head_area
from ..pose.hand_pose import HandPose
from ..runtime import Progress
from .footage import Footage

MOST_PEOPLE = 8
# Small people are searched in tiles of these parts of the shorter side, each half over the next one.
_TILES = (1.0, 0.5)
# Nose and shoulders: who shows less is not taken for a person.
_HEAD_AND_SHOULDERS = [0, 11, 12]
_SEEN = 0.5
# At last the detector, which knows photographs best, only proposes: the network of points decides.
_DETECTION, _PRESENCE, _SAME_PRESENCE = 0.2, 0.7, 0.1
_HIPS = 25
# Logits of a mask below this are haze.
_HAZE = -2.0
# The same person, if squares share more than this part of the smaller one.
_SAME = 0.6
_ONE = Wanted(limit=1)
# A lost person is searched again in every so-manieth frame.
_SEARCH_EVERY = 8
# Masks of a video are kept at this part of the network's resolution: an hour of them fits in memory.
_VIDEO_MASK = 2


@dataclass(frozen=True)
class Person:
    """One person in F frames.

    Attributes
    ----------
    box : (F, 4) left, top, right, bottom in pixels.
    pose : hands, body and face on the whole canvas.
    squares, maps : (F, 4) and (F, s, s) uint8: the soft mask in a turned square of the canvas (`landmarks.regions`).
    """

    box: np.ndarray
    pose: HandPose
    squares: np.ndarray
    maps: torch.Tensor

    def __len__(self) -> int:
        return len(self.box)

    def mask(self, index: int, matrix: np.ndarray, height: int, width: int, scale: float = 1.0) -> torch.Tensor:
        """The soft mask (height, width) in 0..1 of a frame, in pixels of what a matrix (2, 3) and a scale make of it.

        matrix : from pixels of the canvas; `scale` makes the result smaller still.
        """
        x, y, side, angle = self.squares[index]
        place = (matrix @ [x, y, 1.0]) * scale
        square = np.array([[*place, side * matrix[0, 0] * scale, angle]])
        return spread(self.maps[index : index + 1].float() / 255, square, height, width)[0]


@dataclass(frozen=True)
class People:
    """Everybody who was found, from left to right, and the footage they were found in."""

    footage: Footage
    people: tuple[Person, ...]

    def __len__(self) -> int:
        return len(self.people)

    def person(self, number: int) -> Person:
        """A person by the number in the overlay, from 1; ValueError for one that is not there."""
        if not 1 <= number <= len(self.people):
            there = f"{len(self.people)} were found" if len(self) != 1 else "1 was found"
            raise ValueError(f"there is no person {number}: {there} (see the overlay of Find People)")
        return self.people[number - 1]


@dataclass
class _Follow:
    """One person while frames come in."""

    body: Body
    sides: Sides = field(default_factory=Sides)
    lost: int = 0
    frames: list[Frame] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)
    maps: list[torch.Tensor] = field(default_factory=list)


@torch.inference_mode()
def find_people(
    footage: Footage,
    most: int = 4,
    small: bool = True,
    networks: Networks | None = None,
    progress: Progress | None = None,
) -> People:
    """Find everybody in a picture, or follow everybody who is in the first frame of a video.

    Parameters
    ----------
    most : people at most, the largest ones.
    small : look a second time in tiles, where small people are large.

    Raises
    ------
    ValueError : nobody was found.
    """
    networks = networks or shared_networks()
    follows: list[_Follow] = []
    count = 0
    for index, picture in enumerate(_frames(footage)):
        if progress is not None:
            progress(index, max(footage.count, index + 1))
        pictures = as_pictures(picture, networks)
        if index == 0:
            follows = [_Follow(body) for body in find_bodies(pictures, networks, most, small)]
            if not follows:
                raise ValueError(
                    "nobody was found in the picture: use one in which head and shoulders can be seen, switch "
                    "small_people on, or connect a mask of the person"
                )
        else:
            _follow(follows, pictures, networks, index, small)
        _note(follows, pictures, networks, index / (footage.fps or 1.0), footage.still)
        count += 1
    if progress is not None:
        progress(count, count)
    return People(footage, tuple(_person(follow, footage) for follow in follows))


def find_bodies(pictures: torch.Tensor, networks: Networks, most: int, small: bool) -> list[Body]:
    """Bodies with masks in one picture (1, height, width, 3), the largest ones from left to right, each once."""
    height, width = pictures.shape[1:3]

    def find(areas: list[np.ndarray], wanted: Wanted) -> list[Body]:
        found = find_in_areas(MASKED_BODIES, pictures, np.zeros(len(areas), int), np.array(areas), networks, wanted)
        return sorted((body for area in found for body in area), key=lambda body: -body.presence)

    everywhere = whole(height, width)
    found = find([everywhere], Wanted(MOST_PEOPLE))
    if small:
        areas = [everywhere, *_tiles(height, width)]
        found += find(areas, Wanted(MOST_PEOPLE)) + find(areas, Wanted(MOST_PEOPLE, _DETECTION, _PRESENCE))
    # Read once more where they turned out to be: proposals of the second look may be turned or half a person.
    squares = np.array([body.next_square() for body in found]).reshape(-1, 4)
    again = read_with_masks(pictures, np.zeros(len(found), int), squares, networks)
    bodies: list[Body] = []
    for first, second in zip(found, again, strict=True):
        body = second if second.presence > first.presence - _SAME_PRESENCE else first
        shows = body.scores[_HEAD_AND_SHOULDERS].min() > _SEEN
        if shows and not any(_is_part_of(body, other) for other in bodies):
            _clean_mask(body, height, width)
            bodies.append(body)
    largest = sorted(bodies, key=_size, reverse=True)[:most]
    return sorted(largest, key=lambda body: body.points[_HEAD_AND_SHOULDERS, 0].mean())


def overlay(people: People) -> np.ndarray:
    """The first frame (H, W, 3) uint8 with everybody's mask, box and number."""
    from PIL import Image, ImageDraw, ImageFont

    picture = people.footage.first()
    height, width = picture.shape[:2]
    shown = picture.astype(np.float32) * 0.7
    for index, person in enumerate(people.people):
        mask = person.mask(0, np.eye(2, 3), height, width).numpy()[..., None] * 0.45
        shown = shown * (1 - mask) + np.array(_COLOURS[index % len(_COLOURS)]) * mask
    image = Image.fromarray(shown.clip(0, 255).astype(np.uint8))
    draw, line = ImageDraw.Draw(image), max(min(height, width) // 250, 1)
    for index, person in enumerate(people.people):
        left, top, right, bottom = person.box[0]
        colour = _COLOURS[index % len(_COLOURS)]
        draw.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour, width=line)
        font = ImageFont.load_default(max(min(height, width) / 18, 10))
        draw.text(
            (left + 2 * line, top + line),
            str(index + 1),
            fill=colour,
            font=font,
            stroke_width=line,
            stroke_fill=(0, 0, 0),
        )
    return np.asarray(image)


_COLOURS = ((86, 180, 255), (255, 176, 46), (80, 220, 140), (255, 110, 160), (190, 140, 255), (255, 230, 80))


def _frames(footage: Footage) -> Iterator[np.ndarray]:
    return islice(footage.read(), 1) if footage.still else footage.read()


def _tiles(height: int, width: int) -> Iterator[np.ndarray]:
    for part in _TILES:
        side = part * min(height, width)
        rows, columns = (max(round(2 * room / side) - 1, 1) for room in (height, width))
        if rows * columns > 1:
            for y in np.linspace(side / 2, height - side / 2, rows):
                for x in np.linspace(side / 2, width - side / 2, columns):
                    yield np.array([x, y, side, 0.0])


def _clean_mask(body: Body, height: int, width: int) -> None:
    """Empty a body's mask beyond the picture, and where it is not connected with its largest part."""
    from scipy.ndimage import label

    logits, side = body.mask, len(body.mask)
    steps = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(1, -1, 2) + 0.5) / side
    places = to_picture(steps, body.square[None])[0].reshape(side, side, 2)
    kept = ((places >= 0) & (places <= (width, height))).all(axis=-1)
    parts, count = label((logits.cpu().numpy() > _HAZE) & kept)
    if count > 1:
        kept &= parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    body.mask = torch.where(torch.from_numpy(kept).to(logits.device), logits, logits.clamp(max=-20.0))


def _box(body: Body) -> np.ndarray:
    """Left, top, right, bottom of a body's mask in pixels; of its points where the mask is empty."""
    rows, columns = (body.mask > 0).nonzero(as_tuple=True)
    if len(rows):
        places = (torch.stack([columns, rows], dim=1).cpu().numpy() + 0.5) / len(body.mask)
        points = to_picture(places[None], body.square[None])[0]
    else:
        points = body.points[:_HIPS]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _is_part_of(body: Body, other: Body) -> bool:
    """Whether what was found is another person once more, or a part of them: its nose lies within their mask."""
    nose = to_square(body.points[None, :1], other.square[None])[0, 0]
    column, row = (nose * len(other.mask)).astype(int)
    inside = 0 <= row < len(other.mask) and 0 <= column < len(other.mask)
    return bool(inside and other.mask[row, column] > _HAZE) or _shared(_box(body), _box(other)) > _SAME


def _size(body: Body) -> float:
    """The extent of head and shoulders: somebody who is seen whole would otherwise count as larger."""
    return float(np.linalg.norm(np.ptp(body.points[_HEAD_AND_SHOULDERS], axis=0)))


def _shared(box: np.ndarray, other: np.ndarray) -> float:
    shared = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None).prod()
    return float(shared / max(min((box[2:] - box[:2]).prod(), (other[2:] - other[:2]).prod()), 1e-6))


def _follow(follows: list[_Follow], pictures: torch.Tensor, networks: Networks, index: int, small: bool) -> None:
    """Everybody in the next frame: where they were before; who is lost stays there until found again."""
    squares = np.array([follow.body.next_square() for follow in follows])
    found = read_with_masks(pictures, np.zeros(len(follows), int), squares, networks)
    for follow, body in zip(follows, found, strict=True):
        if body.presence > _ONE.presence:
            _clean_mask(body, *pictures.shape[1:3])
            follow.body, follow.lost = body, 0
        else:
            follow.lost += 1
    lost = [follow for follow in follows if follow.lost]
    if lost and index % _SEARCH_EVERY == 0:
        there = [follow for follow in follows if not follow.lost]
        for body in find_bodies(pictures, networks, MOST_PEOPLE, small):
            if lost and not any(_is_part_of(body, other.body) for other in there):
                away = [
                    np.linalg.norm(follow.body.points[:_HIPS].mean(0) - body.points[:_HIPS].mean(0)) for follow in lost
                ]
                follow = lost.pop(int(np.argmin(away)))
                follow.body, follow.lost = body, 0
                there.append(follow)


def _note(follows: list[_Follow], pictures: torch.Tensor, networks: Networks, time: float, still: bool) -> None:
    """Add hands, face and mask of everybody in a frame."""
    height, width = pictures.shape[1:3]
    bodies = [follow.body for follow in follows]
    hands = _in_places(HAND_KIND, pictures, [hand_areas(body.points, height, width) for body in bodies], networks)
    faces = _in_places(FACES, pictures, [[head_area(body.points)] for body in bodies], networks)
    for follow, found, face in zip(follows, hands, faces, strict=True):
        if follow.lost:
            frame = make_frame([None] * HANDS, None, None)
        else:
            chosen = follow.sides.choose(found, follow.body.points, follow.body.scores, time)
            follow.sides.remember(chosen, time)
            frame = make_frame(chosen, follow.body.points, follow.body.scores, face[0].points if face else None)
        follow.frames.append(frame)
        follow.squares.append(follow.body.square)
        logits = follow.body.mask.float()[None, None]
        soft = (logits if still else torch.nn.functional.avg_pool2d(logits, _VIDEO_MASK)).sigmoid()[0, 0]
        follow.maps.append(soft.mul(255).round().byte().cpu())
        follow.boxes.append(np.clip(_box(follow.body), 0, [width, height] * 2))


def _in_places(kind, pictures: torch.Tensor, places: list[list], networks: Networks) -> list[list]:
    owners = np.repeat(np.arange(len(places)), [len(squares) for squares in places])
    areas = np.array([[*middle, 2 * radius, 0.0] for squares in places for middle, radius in squares]).reshape(-1, 4)
    finds: list[list] = [[] for _ in places]
    if len(areas):
        wanted = AREA_HANDS if kind is HAND_KIND else _ONE
        found = find_in_areas(kind, pictures, np.zeros(len(areas), int), areas, networks, wanted)
        for owner, some in zip(owners, found, strict=True):
            finds[owner] = finds[owner] + some
    return finds


def _person(follow: _Follow, footage: Footage) -> Person:
    columns = [np.stack(column) for column in zip(*follow.frames, strict=True)]
    for points in columns[::2]:
        points /= (footage.width, footage.height)
    fps = footage.fps or 1.0
    found = Detections(np.arange(len(follow.frames)) / fps, *columns, width=footage.width, height=footage.height)
    pose = steady(found, fps)
    return Person(np.stack(follow.boxes), pose, np.stack(follow.squares), torch.stack(follow.maps))

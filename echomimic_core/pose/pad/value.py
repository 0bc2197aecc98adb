"""What the Pose Pad keeps in a workflow: parameters of a figure in pixels of its picture, as JSON, checked whole."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from ...config import FPS
from ..hand_pose import MAX_SIDE, MIN_SIDE
from ..hand_skeleton import Shape

VERSION = 1
MAX_BYTES = 16 * 1024
MAX_KEYS, MAX_SECONDS, MAX_FPS = 120, 600.0, 120.0
# How far outside its picture a point may lie, in widths and heights of the picture.
MARGIN = 2.0
# Of a hand, relative to the longer side of the picture; and by how much a correction may scale one.
HAND_SIZES, SCALES = (0.002, 2.0), (0.1, 10.0)
EASES, DEFAULT_EASE = (0.04, 10.0), 0.4
SIDES = ("left", "right")
# The joint angles of a hand in the order in which they are written: those of `Shape`, four or one of each.
ANGLES = tuple((one.name, 4 if one.name in ("knuckle", "spread", "middle") else 1) for one in fields(Shape))
ANGLE_COUNT = sum(count for _, count in ANGLES)


@dataclass(frozen=True)
class PadHand:
    """A hand in the picture.

    Attributes
    ----------
    wrist : (2,) pixels. size : pixels per hand length (wrist to the tip of the middle finger).
    turn : degrees clockwise in the picture; at 0 the fingers point up. roll : degrees around the fingers; at 0 the
        palm looks at the viewer, at 180 the back. tilt : degrees by which the fingers point at the viewer.
    angles : (16,) joint angles in degrees, in the order of `ANGLES`.
    """

    wrist: np.ndarray
    size: float
    turn: float
    roll: float
    tilt: float
    angles: np.ndarray


@dataclass(frozen=True)
class PadKey:
    """The whole figure at a time in seconds, in pixels; pairs are the person's left and right.

    head : (4,) middle between the eyes, half the distance of the eyes, and degrees clockwise.
    """

    time: float
    neck: np.ndarray
    shoulders: np.ndarray
    elbows: np.ndarray
    head: np.ndarray
    hands: tuple[PadHand, PadHand]


@dataclass(frozen=True)
class PadChange:
    """What a correction does to a hand: move (2,) pixels, turn in degrees, scale; or the hand that replaces it.

    absent : the hand is left out around this time, and until the next correction of it where that leaves it out, too.
    """

    move: np.ndarray
    turn: float = 0.0
    scale: float = 1.0
    hand: PadHand | None = None
    absent: bool = False


@dataclass(frozen=True)
class PadBody:
    """How a correction moves the body, in pixels; pairs are the person's left and right.

    neck : (2,), with everything. shoulders : (2, 2), with their arms. elbows : (2, 2). head : (4,) move, scale, and
        degrees clockwise.
    """

    neck: np.ndarray
    shoulders: np.ndarray
    elbows: np.ndarray
    head: np.ndarray


@dataclass(frozen=True)
class PadFix:
    """A correction at a time in seconds: for the left and the right hand, and the body; None where it is left alone."""

    time: float
    changes: tuple[PadChange | None, PadChange | None]
    body: PadBody | None = None


@dataclass(frozen=True)
class Pad:
    """The whole value.

    Attributes
    ----------
    width, height : pixels of the picture that it was made on. fps : of the clip that the keys make.
    hidden : for the left and the right hand whether it is left out.
    keys, fixes : in order of time. ease : seconds over which a correction comes and goes.
    find : the detector is to place the figure.
    """

    width: int
    height: int
    fps: float = FPS
    hidden: tuple[bool, bool] = (False, False)
    keys: tuple[PadKey, ...] = ()
    fixes: tuple[PadFix, ...] = ()
    ease: float = DEFAULT_EASE
    find: bool = False


def read(text: str) -> Pad | None:
    """The value in a text; None where the text is empty, since nothing has been placed yet.

    Raises
    ------
    ValueError : with a sentence, for whatever the page would not write.
    """
    if not text.strip():
        return None
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise ValueError(
            f"the pad holds {size:,} bytes, but {MAX_BYTES:,} are the most: remove some key frames or corrections"
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the pad is not valid JSON ({error}): place the pose again, or clear the field") from error
    return _Reader(content).pad()


@dataclass
class _Reader:
    """Reads the value of `content`; every complaint names the place."""

    content: object
    reach: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def pad(self) -> Pad:
        top = _object(self.content, "the pad", required=("version", "picture"), known=_TOP)
        version = top["version"]
        if type(version) not in (int, float) or version != VERSION:
            newer = type(version) in (int, float) and version > VERSION
            raise ValueError(
                f"the pad has version {version!r:.40}, but this pack reads version {VERSION}"
                + (": update the pack" if newer else "")
            )
        picture = _list(top["picture"], "picture", 2)
        width, height = (_whole(side, "a side of picture", MIN_SIDE, MAX_SIDE) for side in picture)
        self.reach = np.array([width, height], float)
        hidden = _list(top.get("hidden", []), "hidden")
        if any(side not in SIDES for side in hidden):
            raise ValueError(f"hidden is {hidden!r:.60}, but it may only name left and right")
        find = top.get("find", False)
        if type(find) is not bool:
            raise ValueError(f"find is {find!r:.40}, but it has to be true or false")
        return Pad(
            width,
            height,
            _number(top.get("fps", FPS), "fps", 1.0, MAX_FPS),
            tuple(side in hidden for side in SIDES),
            self.in_order([self.key(*one) for one in self.entries(top, "keys")], "keys"),
            self.in_order([self.fix(*one) for one in self.entries(top, "fixes")], "fixes"),
            _number(top.get("ease", DEFAULT_EASE), "ease", *EASES),
            find,
        )

    def entries(self, top: Mapping, name: str) -> list[tuple[object, str]]:
        listed = _list(top.get(name, []), name)
        if len(listed) > MAX_KEYS:
            raise ValueError(f"{name} has {len(listed):,} entries, but {MAX_KEYS} are the most")
        return [(entry, f"{name}[{index}]") for index, entry in enumerate(listed)]

    @staticmethod
    def in_order(entries: list, name: str) -> tuple:
        times = [entry.time for entry in entries]
        if any(after <= before for before, after in zip(times, times[1:], strict=False)):
            raise ValueError(f"the times of {name} do not increase: {times!r:.80}")
        return tuple(entries)

    def key(self, content: object, where: str) -> PadKey:
        names = ("t", "neck", "shoulders", "elbows", "head", *SIDES)
        entry = _object(content, where, required=names, known=names)
        return PadKey(
            _number(entry["t"], f"{where}.t", 0.0, MAX_SECONDS),
            self.point(entry["neck"], f"{where}.neck"),
            self.pair(entry["shoulders"], f"{where}.shoulders"),
            self.pair(entry["elbows"], f"{where}.elbows"),
            self.head(entry["head"], f"{where}.head"),
            tuple(self.hand(entry[side], f"{where}.{side}") for side in SIDES),
        )

    def fix(self, content: object, where: str) -> PadFix:
        entry = _object(content, where, required=("t",), known=("t", *SIDES, "body"))
        time = _number(entry["t"], f"{where}.t", 0.0, MAX_SECONDS)
        changes = [None if side not in entry else self.change(entry[side], f"{where}.{side}") for side in SIDES]
        body = None if "body" not in entry else self.body(entry["body"], f"{where}.body")
        if not any(changes) and body is None:
            raise ValueError(f"{where} corrects neither a hand nor the body")
        return PadFix(time, tuple(changes), body)

    def body(self, content: object, where: str) -> PadBody:
        entry = _object(content, where, known=("neck", "shoulders", "elbows", "head"))
        none = [[0, 0], [0, 0]]
        x, y, scale, tilt = _list(entry.get("head", [0, 0, 1, 0]), f"{where}.head", 4)
        return PadBody(
            self.point(entry.get("neck", [0, 0]), f"{where}.neck"),
            self.pair(entry.get("shoulders", none), f"{where}.shoulders"),
            self.pair(entry.get("elbows", none), f"{where}.elbows"),
            np.array(
                [
                    *self.point([x, y], f"{where}.head"),
                    _number(scale, f"{where}.head", *SCALES),
                    _number(tilt, f"{where}.head", -360, 360),
                ]
            ),
        )

    def change(self, content: object, where: str) -> PadChange:
        entry = _object(content, where, known=("move", "turn", "scale", "hand", "absent"))
        absent = entry.get("absent", False)
        if type(absent) is not bool:
            raise ValueError(f"{where}.absent is {absent!r:.40}, but it has to be true or false")
        if absent:
            return PadChange(np.zeros(2), absent=True)
        if "hand" in entry:
            return PadChange(np.zeros(2), hand=self.hand(entry["hand"], f"{where}.hand"))
        return PadChange(
            self.point(entry.get("move", [0, 0]), f"{where}.move"),
            _number(entry.get("turn", 0), f"{where}.turn", -360, 360),
            _number(entry.get("scale", 1), f"{where}.scale", *SCALES),
        )

    def hand(self, content: object, where: str) -> PadHand:
        names = ("wrist", "size", "turn", "roll", "tilt", "angles")
        entry = _object(content, where, required=names, known=names)
        turns = [_number(entry[name], f"{where}.{name}", -360, 360) for name in ("turn", "roll", "tilt")]
        angles = _list(entry["angles"], f"{where}.angles", ANGLE_COUNT)
        angles = np.array([_number(angle, f"{where}.angles", -180, 180) for angle in angles])
        return PadHand(self.point(entry["wrist"], f"{where}.wrist"), self.size(entry["size"], where), *turns, angles)

    def size(self, value: object, where: str) -> float:
        least, most = (part * float(self.reach.max()) for part in HAND_SIZES)
        return _number(value, f"{where}.size", least, most)

    def head(self, content: object, where: str) -> np.ndarray:
        x, y, size, tilt = _list(content, where, 4)
        return np.array([*self.point([x, y], where), self.size(size, where), _number(tilt, where, -360, 360)])

    def pair(self, content: object, where: str) -> np.ndarray:
        return np.stack([self.point(one, where) for one in _list(content, where, 2)])

    def point(self, content: object, where: str) -> np.ndarray:
        found = _list(content, where, 2)
        bounds = zip(found, self.reach, strict=True)
        return np.array([_number(v, where, -MARGIN * side, (1 + MARGIN) * side) for v, side in bounds])


_TOP = ("version", "picture", "fps", "hidden", "keys", "fixes", "ease", "find")


def _object(content: object, where: str, required: tuple = (), known: tuple = ()) -> dict:
    if not isinstance(content, dict):
        raise ValueError(f"{where} is {content!r:.40}, but it has to be an object")
    for name in required:
        if name not in content:
            raise ValueError(f"{where} lacks {name!r}")
    for name in content:
        if name not in known:
            raise ValueError(f"{where} has {name!r:.40}, which this pack does not know")
    return content


def _list(content: object, where: str, length: int | None = None) -> list:
    if not isinstance(content, list) or length not in (None, len(content)):
        wanted = "a list" if length is None else f"a list of {length}"
        raise ValueError(f"{where} is {content!r:.60}, but it has to be {wanted}")
    return content


def _number(value: object, where: str, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most or not math.isfinite(value):
        raise ValueError(f"{where} is {value!r:.40}, but it has to be a number from {least:g} to {most:g}")
    return float(value)


def _whole(value: object, where: str, least: int, most: int) -> int:
    if type(value) not in (int, float) or not least <= value <= most or value != int(value):
        raise ValueError(f"{where} is {value!r:.40}, but it has to be a whole number from {least:,} to {most:,}")
    return int(value)


def written(hand: PadHand) -> dict:
    """The hand as the value spells it, rounded as the page rounds."""
    return {
        "wrist": [round(float(v), 1) for v in hand.wrist],
        "size": round(float(hand.size), 1),
        **{name: round(float(getattr(hand, name)), 1) for name in ("turn", "roll", "tilt")},
        "angles": [round(float(angle)) for angle in hand.angles],
    }


def written_key(key: PadKey) -> dict:
    """The key as the value spells it."""
    places = {name: np.round(getattr(key, name), 1).tolist() for name in ("neck", "shoulders", "elbows", "head")}
    hands = {side: written(hand) for side, hand in zip(SIDES, key.hands, strict=True)}
    return {"t": round(key.time, 3), **places, **hands}


def check_picture(pad: Pad, width: int, height: int) -> None:
    """ValueError with both sizes where a picture has another aspect ratio than the one the pad was made on."""
    if not _has_shape(pad, width, height):
        raise ValueError(
            f"the pose was placed on a picture of {pad.width}x{pad.height}, but this one is {width}x{height}, which "
            "has another aspect ratio: connect the first picture, or press Move the pose here on the pad"
        )


def check_clip(pad: Pad, width: int, height: int) -> None:
    """ValueError with both sizes where a clip has another aspect ratio than the one that the pad corrects."""
    if not _has_shape(pad, width, height):
        raise ValueError(
            f"the corrections were made on a clip of {pad.width}x{pad.height}, but the connected pose is "
            f"{width}x{height}, which has another aspect ratio: connect the first clip, or press Move the pose here on "
            "the pad"
        )


def _has_shape(pad: Pad, width: int, height: int) -> bool:
    return abs(pad.width / pad.height - width / height) <= 0.01 * width / height

"""Which parts of a video become training clips, and why the others do not."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from ...config import AUDIO_SAMPLE_RATE, FPS, FRAME_SIZE, LARGEST_SIDE
from ...pose import HandPose
from ...pose.detect import Detections
from ...pose.framing import Framing, frame_pose, framing
from .shards import HEADSHOT, SEMI_BODY

# Clips begin at whole positions of the audio features: 12 frames are 25 positions.
FRAME_GRID = 12
ARMS = [2, 3, 5, 6]
WRISTS = [4, 7]
SEEN = 0.3
# A headshot's square around the face points (brows to chin): its side, and its top above the brows, in face heights.
HEADSHOT_SIDE, HEADSHOT_ABOVE = 2.4, 0.9


@dataclass(frozen=True)
class Rules:
    """What a clip must be.

    Attributes
    ----------
    min_seconds, max_seconds : length; longer shots are divided.
    face_share, hand_share : of the frames in which the face, and in semi-body clips a hand, must be found.
    min_hand : height of a typical hand as a share of the frame, below which fingers are a blur.
    min_face : height of a headshot's face points in pixels.
    silence : loudest half second in dB of full scale, below which nobody speaks.
    cut : mean change of the small grey picture (0..1), relative to its neighbours', that is a cut.
    buckets : widths and heights of frames that are not the square one; a clip gets the widest that its picture fills.
    """

    min_seconds: float = 2.0
    max_seconds: float = 10.0
    face_share: float = 0.9
    hand_share: float = 0.5
    min_hand: float = 0.05
    min_face: float = 96.0
    silence: float = -45.0
    cut: float = 0.12
    buckets: tuple[tuple[int, int], ...] = ()

    @classmethod
    def given_by(cls, values: dict) -> "Rules":
        """Rules of values as the command line has them; ValueError for a bucket that is no size."""
        chosen = {name: values[name] for name in cls().listed()}
        return cls(**chosen, buckets=tuple(map(parse_bucket, values["buckets"])))

    def listed(self) -> dict:
        """The rules as results note them; without buckets as before there were any."""
        values = asdict(self)
        buckets = [list(size) for size in values.pop("buckets")]
        return values | ({"buckets": buckets} if buckets else {})


def parse_bucket(text: str) -> tuple[int, int]:
    """Width and height of a text such as 1024x576; ValueError for others."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 64 <= int(side) <= LARGEST_SIDE for side in sides):
        raise ValueError(f"{text!r} is not a size such as 1024x576, with sides from 64 to {LARGEST_SIDE} pixels")
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True)
class Video:
    """The analysis of a video, at 24 frames per second.

    Attributes
    ----------
    found : raw detections of all F frames.
    people : (F,) number of people, -1 where nobody counted.
    change : (F,) mean difference of each small grey picture from the one before, in 0..1.
    sound : (samples,) mono at 16 kHz.
    """

    found: Detections
    people: np.ndarray
    change: np.ndarray
    sound: np.ndarray

    def __len__(self) -> int:
        return len(self.people)


@dataclass(frozen=True)
class Piece:
    """A run of frames [start, stop) that becomes a clip, with its kind and how to cut it out of the picture: framed, as
    a square (left, top, side), or as a box (left, top, width, height) that becomes a `bucket`, (width, height)."""

    start: int
    stop: int
    kind: str
    framing: Framing | None = None
    square: tuple[int, int, int] | None = None
    box: tuple[int, int, int, int] | None = None
    bucket: tuple[int, int] | None = None


@dataclass(frozen=True)
class Rejection:
    """A run of frames that does not, and why."""

    start: int
    stop: int
    reason: str


def choose_pieces(video: Video, rules: Rules, size: int = FRAME_SIZE) -> tuple[list[Piece], list[Rejection]]:
    """Divide a video at its cuts and by length, and judge each piece."""
    pieces, rejections = [], []
    for start, stop in shots(video.change, rules.cut):
        for begin, end in divide(start, stop, rules):
            shorter = (end - begin) / FPS
            if shorter < rules.min_seconds:
                reason = f"only {shorter:.1f} s between cuts, {rules.min_seconds:g} s are needed"
                rejections.append(Rejection(begin, end, reason))
                continue
            judged = judge(video, begin, end, rules, size)
            (pieces if isinstance(judged, Piece) else rejections).append(judged)
    return pieces, rejections


def shots(change: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Runs of frames without a cut: a cut changes far more than the frames before and after it do."""
    around = np.maximum(np.roll(change, 1), np.roll(change, -1))
    # A gesture changes every frame a little, a cut one frame a lot
    cuts = np.flatnonzero((change > threshold) & (change > 2.5 * around))
    edges = [0, *(int(cut) for cut in cuts if cut > 0), len(change)]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def divide(start: int, stop: int, rules: Rules) -> list[tuple[int, int]]:
    """Equal parts of a shot, none longer than the rules allow, each beginning on the grid of audio positions."""
    begin = -(-start // FRAME_GRID) * FRAME_GRID
    if stop - begin < 1:
        return [(start, stop)]
    longest = int(rules.max_seconds * FPS)
    parts = -(-(stop - begin) // longest)
    edges = [begin + (stop - begin) * i // parts // FRAME_GRID * FRAME_GRID for i in range(parts)] + [stop]
    return list(zip(edges, edges[1:], strict=False))


def judge(video: Video, start: int, stop: int, rules: Rules, size: int) -> Piece | Rejection:
    """The piece that frames [start, stop) make, or the reason why they make none."""

    def reject(reason: str) -> Rejection:
        return Rejection(start, stop, reason)

    found = cut_detections(video.found, start, stop)
    faces = (found.face_scores > 0).any(1)
    if faces.mean() < rules.face_share:
        return reject(f"a face is found in {faces.mean():.0%} of the frames, {rules.face_share:.0%} are needed")
    people = video.people[start:stop].max()
    if people > 1:
        return reject(f"{people} people are in the picture, but one is needed")
    loudness = loudest(video.sound[round(start / FPS * AUDIO_SAMPLE_RATE) : round(stop / FPS * AUDIO_SAMPLE_RATE)])
    if loudness < rules.silence:
        return reject(f"silence: the loudest moment is at {loudness:.0f} dB, {rules.silence:g} dB are needed")
    if not shows_arms(found):
        return judge_headshot(found, start, stop, rules)
    try:
        bodies = np.where((found.body_scores > SEEN)[..., None], found.bodies, np.nan)
        points = np.where((found.face_scores > 0)[..., None], found.faces, np.nan)
        frame = framing(bodies, points, found.width, found.height, size)
    except ValueError as error:
        return reject(str(error))
    hands = (found.hand_scores > 0).all(-1)
    if hands.any(1).mean() < rules.hand_share:
        return reject(f"hands are found in {hands.any(1).mean():.0%} of the frames, {rules.hand_share:.0%} are needed")
    _, _, top, bottom = frame.pose_params
    extent = np.hypot(*np.moveaxis(np.ptp(found.hands[hands], axis=1) * (found.width / found.height, 1.0), -1, 0))
    height = float(np.median(extent)) / (bottom - top)
    if height < rules.min_hand:
        return reject(f"small hands: {height:.1%} of the frame's height, {rules.min_hand:.0%} are needed")
    box, bucket = choose_bucket(frame, rules.buckets)
    return Piece(start, stop, SEMI_BODY, framing=None if box else frame, box=box, bucket=bucket)


def choose_bucket(frame: Framing, buckets: tuple[tuple[int, int], ...]):
    """The box (left, top, width, height) of a picture, with the rows of its framing and its middle, that becomes the
    widest bucket (width, height) that the picture fills; two times None where that is the square, or there is none."""
    top, last_row, left, right = frame.video_params
    height, middle = last_row - top + 1, (left + right) // 2
    for size in sorted({*buckets, (frame.size, frame.size)}, key=lambda size: size[0] / size[1], reverse=True):
        width = round(height * size[0] / size[1])
        if middle - width // 2 >= 0 and middle - width // 2 + width <= frame.width:
            square = size[0] == size[1]
            return (None, None) if square else ((middle - width // 2, top, width, height), size)
    return None, None


def shows_arms(found: Detections) -> bool:
    """Whether this is a semi-body clip: shoulders, elbows and a wrist are seen in most frames, inside the picture."""
    inside = (found.bodies > 0).all(-1) & (found.bodies < 1).all(-1) & (found.body_scores > SEEN)
    return bool(inside[:, ARMS].mean() > 0.75 and inside[:, WRISTS].any(1).mean() > 0.5)


def judge_headshot(found: Detections, start: int, stop: int, rules: Rules) -> Piece | Rejection:
    seen = found.face_scores > 0
    points = found.faces[seen] * (found.width, found.height)
    low, high = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
    height = float(high[1] - low[1])
    if height < rules.min_face:
        return Rejection(
            start, stop, f"small face: {height:.0f} pixels high and no arms in sight, {rules.min_face:g} are needed"
        )
    side = round(min(HEADSHOT_SIDE * height, found.width, found.height))
    left = round(float(low[0] + high[0]) / 2 - side / 2)
    top = round(float(low[1]) - HEADSHOT_ABOVE * height)
    left, top = (min(max(v, 0), limit - side) for v, limit in ((left, found.width), (top, found.height)))
    return Piece(start, stop, HEADSHOT, square=(left, top, side))


def cut_detections(found: Detections, start: int, stop: int) -> Detections:
    part = slice(start, stop)
    arrays = ("times", "hands", "hand_scores", "bodies", "body_scores", "faces", "face_scores")
    return replace(found, **{name: getattr(found, name)[part] for name in arrays})


def loudest(sound: np.ndarray) -> float:
    """Root mean square of the loudest half second in dB of full scale, -inf for none."""
    block = AUDIO_SAMPLE_RATE // 2
    if len(sound) == 0:
        return -np.inf
    blocks = [sound[i : i + block] for i in range(0, len(sound), block)]
    power = max(float(np.mean(np.square(part, dtype=np.float64))) for part in blocks)
    return 10 * np.log10(power) if power > 0 else -np.inf


def piece_pose(pose: HandPose, piece: Piece, size: int) -> HandPose:
    """The pose of a piece, 0..1 of the video's picture, as 0..1 of the clip's frame."""
    if piece.framing is not None:
        return frame_pose(pose, piece.framing).whole_canvas()
    left, top, *sides = piece.box or (*piece.square, piece.square[2])
    width, height = piece.bucket or (size, size)
    scale, offset = np.array([pose.width, pose.height]) / sides, np.array([left, top]) / sides
    return replace(pose.map_points(lambda points: points * scale - offset), width=width, height=height)


def piece_picture(picture: np.ndarray, piece: Piece, size: int) -> np.ndarray:
    """The piece's frame, (size, size, 3) or of its bucket, uint8 of a picture (h, w, 3); black where there is none."""
    from ...media.opencv import cv2

    if piece.framing is None:
        left, top, width, height = piece.box or (*piece.square, piece.square[2])
        part, target = picture[top : top + height, left : left + width], piece.bucket or (size, size)
        return cv2.resize(part, target, interpolation=cv2.INTER_AREA if height > target[1] else cv2.INTER_CUBIC)
    first_row, last_row, first_column, last_column = piece.framing.video_params
    part = picture[first_row : last_row + 1, first_column : min(last_column, picture.shape[1])]
    width = last_column - first_column
    part = np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)))
    row, row_end, column, column_end = piece.framing.region
    how = cv2.INTER_AREA if part.shape[0] > size else cv2.INTER_CUBIC
    frame = np.zeros((size, size, 3), np.uint8)
    frame[row:row_end, column:column_end] = cv2.resize(part, (column_end - column, row_end - row), interpolation=how)
    return frame

"""Paste: clips of people back into the picture or video they were cut from, frame by frame, without a seam.

Outside a clip's mask the background's pixels are not touched. The mask is the person, as cut out and as generated over
the whole clip, widened; in a ring around it the difference of both is faded band by band (Burt and Adelson, 1983):
coarse differences over a long way, fine ones over a short one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..choices import BODIES
from ..landmarks import Networks, as_pictures, person_masks, shared_networks
from ..runtime import Progress
from .colour import IDENTITY, ColourMatch
from .crop import MASK_SCALE, Crop
from .footage import Footage, at_rate
from .matte import matte_footage
from .people import find_bodies
from .resample import inverse, product, resample

# A clip is looked at in every so-manieth frame, for its silhouette and its colours.
LOOK_EVERY = 6
_EDGE = 0.5
# Masks are widened and softened in cells of which the feather has so many.
_CELLS = 4
# Where the crop ends within a body, the clip fades over so many feathers, from one feather inside the border on;
# elsewhere over half of one.
_BORDER = 3
# A clip that ends before the video fades out over so many seconds.
_FADE_SECONDS = 0.25


@dataclass(frozen=True)
class Layer:
    """A clip and its place: `crop` in the clip's own size, with the masks and the colours that `look` found."""

    clip: Footage
    crop: Crop
    colour: tuple[np.ndarray, np.ndarray] = IDENTITY


@dataclass(frozen=True)
class _Patch:
    """A layer's place in one frame: a box of the canvas, the matrix from the clip into it, and two masks (h, w).

    inner : 1 where the clip is seen. window : 0 where the background is not touched.
    """

    rows: slice
    columns: slice
    matrix: np.ndarray
    inner: torch.Tensor
    window: torch.Tensor


def look(
    clip: Footage,
    crop: Crop,
    background: Footage,
    body: str = "silhouette",
    match_colour: bool = True,
    networks: Networks | None = None,
    progress: Progress | None = None,
) -> Layer:
    """A layer with its mask and colours, from every `LOOK_EVERY`th frame of the clip.

    Parameters
    ----------
    body : "silhouette" (the person of the crop and of the clip; where the crop says frame by frame what may change,
        that) or "box" (the whole crop).
    match_colour : bring the clip's colours to those of the background around the person.
    """
    if body not in BODIES:
        raise ValueError(f"body is {body!r}, but it must be one of {', '.join(BODIES)}")
    crop = crop.at_size(clip.width, clip.height)
    if body == "box":
        crop = replace(crop, masks=None)
    size = (max(clip.height // MASK_SCALE, 1), max(clip.width // MASK_SCALE, 1))
    searches = body == "silhouette" and (crop.masks is None or len(crop.masks) == 1)
    if searches:
        networks = networks or shared_networks()
    mask = None if crop.masks is None else crop.masks.amax(dim=0).float() / 255
    colours = ColourMatch()
    moments = zip(clip.every(LOOK_EVERY), at_rate(background, clip.fps / LOOK_EVERY), strict=False)
    for index, (picture, (place, ground)) in enumerate(moments if searches or match_colour else ()):
        if progress is not None:
            progress(index * LOOK_EVERY, max(clip.count, index * LOOK_EVERY + 1))
        found = silhouette(picture, networks) if searches else None
        if found is not None:
            mask = found if mask is None else torch.maximum(_sized(mask, found.shape), found)
        if match_colour:
            around = torch.ones(size, dtype=torch.bool) if mask is None else _sized(mask, size) < 1 - _EDGE
            colours.add(
                _small(ground, crop.matrix(place), size, clip), _small(picture, np.eye(2, 3), size, clip), around
            )
    if searches:
        crop = replace(crop, masks=None if mask is None else mask.mul(255).round().byte()[None])
    return Layer(clip, crop, colours.solve())


def silhouette(picture: np.ndarray, networks: Networks) -> torch.Tensor | None:
    """The largest person's soft mask (h, w) in 0..1 of a picture (h, w, 3) uint8; None where nobody is."""
    with torch.inference_mode():
        bodies = find_bodies(as_pictures(picture, networks), networks, 1, False)
        return person_masks(bodies, *picture.shape[:2])[0].float().cpu() if bodies else None


def paste(
    background: Footage, layers: Sequence[Layer], fps: float, feather: int = 16, device: torch.device | str = "cpu"
) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 of the background with all layers, later ones on top; no more than one is held.

    A still picture lasts as long as the longest clip, and clips that end before rest in their last frame; a video has
    its own length, and clips that end before fade out.

    Parameters
    ----------
    fps : frames per second of the result; of a video, its own.
    feather : half the width of the ring in which both are blended, in pixels of the canvas.
    """
    count = frames_of(background, layers, fps)
    clips = [at_rate(layer.clip, fps) for layer in layers]
    last: list = [None] * len(layers)
    patches: list = [(None, None)] * len(layers)
    ended = [0] * len(layers)
    for index, (_, ground) in enumerate(at_rate(background, fps)):
        if background.still and index == count:
            return
        shown = ground
        for number, layer in enumerate(layers):
            following = next(clips[number], None)
            if following is not None:
                last[number] = following[1]
            elif not background.still:
                ended[number] += 1
            weight = 1 - ended[number] / max(_FADE_SECONDS * fps, 1)
            if weight <= 0 or last[number] is None:
                continue
            key = layer.crop.place(index)
            if patches[number][0] != key:
                patches[number] = (key, _patch(layer, index, background, feather, device))
            if shown is ground:
                shown = ground.copy()
            _blend_into(shown, last[number], layer.colour, patches[number][1], feather, weight)
        yield shown


def paste_mattes(
    background: Footage,
    layers: Sequence[Layer],
    fps: float,
    feather: int = 16,
    device: torch.device | str = "cpu",
    networks: Networks | None = None,
) -> Iterator[np.ndarray]:
    """The mattes (H, W) uint8 of `paste` with the same arguments: white where the people of the clips are."""
    networks = networks or shared_networks()
    black = np.zeros((background.height, background.width, 3), np.uint8)
    count = 1 if background.still else background.count
    empty = replace(background, read=lambda: (black for _ in range(count)), sparse=None)
    people = [replace(layer, clip=matte_footage(layer.clip, networks), colour=IDENTITY) for layer in layers]
    for shown in paste(empty, people, fps, feather, device):
        yield shown[..., 0]


def frames_of(background: Footage, layers: Sequence[Layer], fps: float) -> int:
    """How many frames `paste` gives, as far as is known; exactly for a still picture."""
    if not background.still:
        return background.count
    return max(round(layer.clip.count * fps / layer.clip.fps) for layer in layers)


def blend(difference: torch.Tensor, mask: torch.Tensor, levels: int) -> torch.Tensor:
    """What of a difference (1, c, h, w) a mask (1, 1, h, w) lets through, each band of frequencies by a mask as coarse.

    All of it where the mask is 1 all around, nothing where it is 0 all around.
    """
    if levels == 0 or min(difference.shape[2:]) < 4:
        return difference * mask
    small, small_mask = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (difference, mask))
    coarse = F.interpolate(small, size=difference.shape[2:], mode="bilinear", align_corners=False)
    passed = F.interpolate(
        blend(small, small_mask, levels - 1), size=difference.shape[2:], mode="bilinear", align_corners=False
    )
    return (difference - coarse) * mask + passed


def _blend_into(shown, picture, colour, patch: _Patch, feather: int, weight: float) -> None:
    device = patch.inner.device
    gain, offset = (torch.tensor(values, dtype=torch.float32, device=device) for values in colour)
    clip = torch.from_numpy(np.require(picture, requirements=("C", "W"))).to(device).float() * gain + offset
    clip = resample(clip, patch.matrix, *patch.inner.shape).clamp_(0, 255)
    ground = torch.from_numpy(shown[patch.rows, patch.columns]).to(device).float()
    levels = max(int(np.log2(max(feather, 1))) - 1, 0)
    passed = blend((clip - ground).movedim(-1, 0)[None], patch.inner[None, None], levels)[0].movedim(0, -1)
    result = ground + passed * (patch.window * weight)[..., None]
    shown[patch.rows, patch.columns] = result.round_().clamp_(0, 255).byte().cpu().numpy()


def _patch(layer: Layer, index: int, background: Footage, feather: int, device) -> _Patch:
    crop = layer.crop
    back = inverse(crop.matrix(index))
    corners = np.array([back[:, 2], back[:, :2] @ [crop.width, crop.height] + back[:, 2]])
    room = np.array([background.width, background.height])
    low = np.clip(np.floor(corners[0] + 1e-6), 0, room).astype(int)
    high = np.clip(np.ceil(corners[1] - 1e-6), 0, room).astype(int)
    width, height = (int(side) for side in high - low)
    to_box = product(np.array([[1.0, 0, -low[0]], [0, 1.0, -low[1]]]), back)
    # Widened and softened in cells, so that a wide feather costs no more than a narrow one.
    cell = max(feather // _CELLS, 1)
    size = (-(-height // cell), -(-width // cell))
    to_cells = product(np.array([[1 / cell, 0, 0], [0, 1 / cell, 0]]), to_box)
    reach = feather / cell
    inner = torch.ones(size)
    mask = crop.mask(index)
    if mask is not None:
        to_clip = np.array([[crop.width / mask.shape[1], 0, 0], [0, crop.height / mask.shape[0], 0]])
        inner = (resample(mask[..., None], product(to_cells, to_clip), *size)[..., 0] > _EDGE).float()
        inner = _softened(_widened(inner, round(reach / 4)), min(round(reach), 1))
    # At the canvas's own edge the clip need not end before the crop does.
    sides = [side / max(feather, 1) for side in _distances_inside(corners, room, low, size, cell)]
    fades = [_BORDER if (inner * (side < 1)).any() else _EDGE for side in sides]
    for side, fade in zip(sides, fades, strict=True):
        inner = inner * ((side - 1) / fade).clamp(0, 1)
    window = _softened(_widened(inner, round(reach)), round(reach))
    for side in sides:
        window = window * side.clamp(0, 1)
    window = window * window * (3 - 2 * window)
    inner, window = (
        F.interpolate(x[None, None], scale_factor=cell, mode="bilinear" if cell > 1 else "nearest")[
            0, 0, :height, :width
        ]
        for x in (inner, window)
    )
    rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
    return _Patch(rows, columns, to_box, inner.to(device), window.to(device))


def _distances_inside(corners: np.ndarray, room: np.ndarray, low: np.ndarray, size: tuple[int, int], cell: int) -> list:
    """How far inside each side of the crop each cell is, in pixels: (h, 1) and (1, w) for the sides inside the canvas.

    Sides of the crop on those of the canvas are left out.
    """
    sides = []
    for axis, count in ((1, size[0]), (0, size[1])):
        places = low[axis] + (torch.arange(count) + 0.5) * cell
        places = places[:, None] if axis == 1 else places[None]
        if corners[0, axis] > 0.5:
            sides.append(places - corners[0, axis])
        if corners[1, axis] < room[axis] - 0.5:
            sides.append(corners[1, axis] - places)
    return sides


def _widened(mask: torch.Tensor, cells: int) -> torch.Tensor:
    """The mask (h, w) grown by so many cells, round."""
    for _ in range(cells):
        padded = F.pad(mask[None, None], (1, 1, 1, 1))
        cross = torch.stack(
            [padded[..., 1:-1, :-2], padded[..., 1:-1, 2:], padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]]
        )
        mask = torch.maximum(mask, cross.amax(dim=0)[0, 0])
    return mask


def _softened(mask: torch.Tensor, cells: int) -> torch.Tensor:
    """The mean over a square that reaches so many cells to each side; the edge repeats."""
    if cells < 1:
        return mask
    padded = F.pad(mask[None, None], (cells,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * cells + 1, stride=1)[0, 0]


def _sized(mask: torch.Tensor, size) -> torch.Tensor:
    return F.interpolate(mask[None, None], size=tuple(size), mode="bilinear", align_corners=False)[0, 0]


def _small(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], clip: Footage) -> torch.Tensor:
    shrunk = np.array([[size[1] / clip.width, 0, 0], [0, size[0] / clip.height, 0]])
    return resample(
        torch.from_numpy(np.require(picture, requirements=("C", "W"))).float(), product(shrunk, matrix), *size
    )

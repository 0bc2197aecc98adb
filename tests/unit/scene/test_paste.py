"""Cut out and put back: unchanged is unchanged, outside the mask nothing is touched, and no frame is held."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from echomimic_core.scene.crop import Crop, cut, whole_picture
from echomimic_core.scene.footage import Footage
from echomimic_core.scene.paste import Layer, blend, look, paste

CANVAS = (320, 240)


def picture(width=CANVAS[0], height=CANVAS[1], seed=0):
    """A picture of soft colours, fine grain and hard edges."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.uniform(20, 235, (1, 3, height // 16, width // 16))).float()
    smooth = torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic")[0].movedim(0, -1).numpy()
    smooth[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 60)
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


def still(frame):
    return Footage(lambda: iter([frame]), frame.shape[1], frame.shape[0], 0.0, 1)


def clip_of(frames, fps=24.0):
    return Footage(lambda: iter(frames), frames[0].shape[1], frames[0].shape[0], fps, len(frames))


def crop_at(left, top, side, size, mask=None):
    scale = size / side
    return Crop(np.array([[[scale, 0, -left * scale], [0, scale, -top * scale]]]), CANVAS, size, size, mask)


def disc(size, radius):
    y, x = np.mgrid[:size, :size] + 0.5
    return torch.from_numpy(((np.hypot(x - size / 2, y - size / 2) < radius * size) * 255).astype(np.uint8))[None]


def psnr(a, b):
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-6))


@pytest.mark.parametrize("mask", [None, disc(32, 0.3)], ids=["box", "person"])
@pytest.mark.parametrize("feather", [0, 5, 16])
def test_an_unchanged_clip_at_scale_1_and_whole_pixels_gives_the_picture_back(mask, feather):
    ground = picture()
    crop = crop_at(40, 16, 128, 128, mask)
    (result,) = paste(still(ground), [Layer(clip_of([cut(ground, crop)]), crop)], 24.0, feather)
    assert np.abs(result.astype(int) - ground).max() <= 1


@pytest.mark.parametrize(("side", "size"), [(96.5, 128), (200, 128), (150.3, 96)])
def test_an_unchanged_clip_at_another_scale_is_no_worse_than_lanczos_down_and_up(side, size):
    ground = picture()
    crop = crop_at(31.25, 17.5, side, size)
    (result,) = paste(still(ground), [Layer(clip_of([cut(ground, crop)]), crop)], 24.0, 4)
    box = slice(18, 17 + int(side) - 1), slice(32, 31 + int(side) - 1)
    square = Image.fromarray(ground).crop((31, 17, 31 + round(side), 17 + round(side)))
    once = square.resize((size, size), Image.LANCZOS).resize(square.size, Image.LANCZOS)
    assert psnr(result[box], ground[box]) > psnr(np.asarray(once), np.asarray(square)) - 0.5


def test_outside_the_mask_every_pixel_is_the_background_s():
    ground = picture()
    crop = crop_at(40, 16, 128, 192, disc(48, 0.25))
    other = np.full((192, 192, 3), 255, np.uint8)
    (result,) = paste(still(ground), [Layer(clip_of([other]), crop)], 24.0, 8)
    y, x = np.mgrid[: CANVAS[1], : CANVAS[0]] + 0.5
    away = np.hypot(x - 104, y - 80)
    changed = (result != ground).any(axis=-1)
    assert not changed[away > 0.25 * 128 + 4 * 8].any()
    assert (result[away < 20] == 255).all()


def test_a_seam_has_no_step():
    """A clip that is lighter all over fades into the background, a little from pixel to pixel."""
    ground = np.full((CANVAS[1], CANVAS[0], 3), 100, np.uint8)
    crop = crop_at(40, 16, 192, 192, disc(48, 0.25))
    (result,) = paste(still(ground), [Layer(clip_of([np.full((192, 192, 3), 140, np.uint8)]), crop)], 24.0, 16)
    steps = max(np.abs(np.diff(result[..., 0].astype(int), axis=axis)).max() for axis in (0, 1))
    assert result.max() == 140 and steps <= 4


def test_a_crop_inside_the_picture_ends_softly_and_one_at_its_edge_goes_up_to_it():
    ground = np.full((CANVAS[1], CANVAS[0], 3), 100, np.uint8)
    crop = crop_at(64, 240 - 128, 128, 128)
    (result,) = paste(still(ground), [Layer(clip_of([np.full((128, 128, 3), 140, np.uint8)]), crop)], 24.0, 8)
    assert (result[-1, 110:150] == 140).all()
    assert np.abs(np.diff(result[180, :, 0].astype(int))).max() <= 10
    assert (result[:, :64] == 100).all() and (result[:112] == 100).all()


def test_colours_are_matched_once_for_the_whole_clip():
    ground = picture()
    crop = crop_at(40, 16, 128, 128, disc(32, 0.2))
    tinted = (cut(ground, crop).astype(float) * 0.95 + (6, -4, 2)).clip(0, 255).astype(np.uint8)
    frames = [tinted, tinted // 2]  # A dark frame later on must not change the transform of its own.
    layer = look(clip_of(frames), replace(crop, masks=crop.masks.repeat(2, 1, 1)), still(ground), "silhouette", True)
    gain, offset = layer.colour
    mended = tinted * gain + offset
    assert np.abs(mended.mean((0, 1)) - cut(ground, crop).mean((0, 1))).max() < 2.5


def test_only_every_sixth_frame_is_made_to_look_at_a_clip():
    ground, asked = picture(), []
    crop = crop_at(40, 16, 128, 128, disc(32, 0.2))
    frame = cut(ground, crop)

    def sparse(step):
        for index in range(0, 20, step):
            asked.append(index)
            yield frame

    clip = replace(clip_of([frame]), read=lambda: pytest.fail("all frames were made"), count=20, sparse=sparse)
    look(clip, crop, still(ground))
    assert asked == [0, 6, 12, 18]


def test_a_clip_of_another_size_lands_in_the_same_place():
    ground = picture()
    crop = crop_at(40, 16, 128, 128)
    layers = []
    for size in (64, 128, 256):
        small = np.asarray(Image.fromarray(cut(ground, crop)).resize((size, size), Image.LANCZOS))
        layers.append(look(clip_of([small]), crop, still(ground), "box", False))
    results = [next(paste(still(ground), [layer], 24.0, 8)) for layer in layers]
    for result in results:
        assert psnr(result, ground) > 24
    assert np.abs(results[1].astype(int) - ground).max() <= 1


def test_a_crop_of_a_crop_pastes_into_the_first_canvas():
    ground = picture()
    first = crop_at(40, 16, 192, 384)
    second = first.then(np.array([[0.5, 0, -20], [0, 0.5, -30]]), 128, 96)
    (result,) = paste(still(ground), [Layer(clip_of([cut(ground, second)]), second)], 24.0, 4)
    assert np.abs(result.astype(int) - ground).max() <= 1
    assert np.allclose(second.matrix(0), [[1, 0, -60], [0, 1, -46]])


def test_several_clips_of_their_own_rates_share_a_still_picture():
    ground = np.zeros((CANVAS[1], CANVAS[0], 3), np.uint8)
    left = clip_of([np.full((64, 64, 3), 10 * i, np.uint8) for i in range(12)], 12.0)
    right = clip_of([np.full((64, 64, 3), 10 * i, np.uint8) for i in range(18)], 24.0)
    layers = [Layer(left, crop_at(0, 0, 64, 64)), Layer(right, crop_at(200, 100, 64, 64))]
    frames = list(paste(still(ground), layers, 24.0, 0))
    assert len(frames) == 24
    assert [frame[30, 30, 0] for frame in frames] == [10 * (i // 2) for i in range(24)]
    assert [frame[130, 230, 0] for frame in frames] == [10 * min(i, 17) for i in range(24)]


def test_a_video_keeps_its_length_and_returns_to_itself_after_the_clip():
    grounds = [np.full((CANVAS[1], CANVAS[0], 3), 3 * i, np.uint8) for i in range(40)]
    clip = clip_of([np.full((64, 64, 3), 255, np.uint8)] * 20, 24.0)
    frames = list(paste(clip_of(grounds, 30.0), [Layer(clip, crop_at(10, 10, 64, 64))], 30.0, 2))
    assert len(frames) == 40
    assert frames[24][40, 40, 0] == 255 and (frames[39] == grounds[39]).all()
    assert all((frame[:, 200:] == ground[:, 200:]).all() for frame, ground in zip(frames, grounds, strict=True))


def test_a_mask_for_each_frame_is_followed():
    ground = np.zeros((CANVAS[1], CANVAS[0], 3), np.uint8)
    masks = torch.zeros(2, 32, 32, dtype=torch.uint8)
    masks[0, :, :16], masks[1, :, 16:] = 255, 255
    crop = replace(crop_at(40, 16, 128, 128, masks), frames=np.arange(2), fps=24.0)
    clip = clip_of([np.full((128, 128, 3), 200, np.uint8)] * 2)
    first, second = paste(clip_of([ground] * 2), [Layer(clip, crop)], 24.0, 4)
    assert first[80, 70, 0] == 200 and first[80, 140, 0] == 0
    assert second[80, 70, 0] == 0 and second[80, 140, 0] == 200


def test_memory_is_flat_over_2000_frames():
    """Frames that are still alive are counted while the video goes by."""
    alive = weakref.WeakSet()

    class Frame(np.ndarray):
        pass

    def frames(width, height):
        def read():
            for index in range(2000):
                frame = np.full((height, width, 3), index % 200, np.uint8).view(Frame)
                alive.add(Counted(frame))
                yield frame

        return read

    class Counted:
        """Lives as long as its frame."""

        def __init__(self, frame):
            frame.counted = self

    background = Footage(frames(64, 48), 64, 48, 24.0, 2000)
    crop = Crop(np.array([[[1.0, 0, -8], [0, 1.0, -8]]]), (64, 48), 32, 32)
    most = count = 0
    for _ in paste(background, [Layer(Footage(frames(32, 32), 32, 32, 24.0, 2000), crop)], 24.0, 2):
        count += 1
        if count % 100 == 0:
            gc.collect()
            most = max(most, len(alive))
    assert count == 2000 and 2 <= most <= 6


def test_all_of_a_difference_passes_a_full_mask_and_nothing_an_empty_one():
    difference = torch.randn(1, 3, 45, 67)
    assert torch.allclose(blend(difference, torch.ones(1, 1, 45, 67), 4), difference, atol=1e-5)
    assert not blend(difference, torch.zeros(1, 1, 45, 67), 4).any()


def test_the_whole_picture_is_a_crop_too():
    assert whole_picture(*CANVAS).matrix(5).tolist() == [[1, 0, 0], [0, 1, 0]]

"""Videos with an alpha channel come back with it."""

import av
import numpy as np
import pytest

from echomimic_core.media.alpha import AlphaWriter


def test_colours_and_alpha_come_back(tmp_path):
    frame = np.full((48, 64, 4), (200, 60, 30, 255), np.uint8)
    frame[:, 32:, 3] = np.linspace(0, 255, 32).astype(np.uint8)
    with AlphaWriter(tmp_path / "a.mov", 24, 64, 48, (np.zeros((1, 16000), np.float32), 16000)) as writer:
        writer.write(np.stack([frame] * 3))
    with av.open(str(tmp_path / "a.mov")) as container:
        assert container.streams.audio
        shown = [picture.to_ndarray(format="rgba").astype(int) for picture in container.decode(video=0)]
    assert len(shown) == 3 and np.abs(shown[1] - frame).max() <= 4


def test_frames_without_alpha_are_refused(tmp_path):
    with pytest.raises(ValueError, match="64x48"), AlphaWriter(tmp_path / "a.mov", 24, 64, 48) as writer:
        writer.write(np.zeros((1, 48, 64, 3), np.uint8))
    assert not list(tmp_path.iterdir())

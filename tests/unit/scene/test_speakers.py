"""One recording becomes a track for each speaker: as long as the whole, silent while others speak."""

import numpy as np
import pytest

from echomimic_core.scene.speakers import Turn, by_channel, by_turns, read_turns

RATE = 16_000
RTTM = """
SPKR-INFO talk 1 <NA> <NA> <NA> unknown SPEAKER_00 <NA> <NA>
SPEAKER talk 1 0.50 1.25 <NA> <NA> SPEAKER_00 <NA> <NA>
SPEAKER talk 1 2.00 0.50 <NA> <NA> SPEAKER_01 <NA> <NA>
"""
LINES = "# who speaks\nAnna 0.5 1.75\n\nBen the Second 2 2.5\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [(RTTM, ("SPEAKER_00", "SPEAKER_01")), (LINES, ("Anna", "Ben the Second"))],
    ids=["rttm", "lines"],
)
def test_rttm_and_plain_lines_say_the_same(text, names):
    assert read_turns(text) == [Turn(names[0], 0.5, 1.75), Turn(names[1], 2.0, 2.5)]


@pytest.mark.parametrize("line", ["Anna", "Anna 1", "Anna 2 1", "1 2", "Anna one two", "SPEAKER talk 1 x 1 a b c"])
def test_a_line_that_is_no_turn_is_named(line):
    with pytest.raises(ValueError, match="line 2 of the turns"):
        read_turns(f"Ben 0 1\n{line}")


def test_no_turns_at_all_are_refused():
    with pytest.raises(ValueError, match="no turns"):
        read_turns("\n# nothing\n")


def test_a_track_is_the_sound_in_its_turns_and_silent_elsewhere():
    sound = np.ones((2, 4 * RATE), np.float32)
    tracks = by_turns(sound, RATE, [Turn("Ben", 2.0, 3.0), Turn("Anna", 0.5, 1.0), Turn("Ben", 2.5, 3.5)])
    assert list(tracks) == ["Anna", "Ben"] and all(track.shape == sound.shape for track in tracks.values())
    ben = tracks["Ben"][0]
    assert (ben[2 * RATE : int(3.5 * RATE)] == 1).all() and not ben[: int(1.9 * RATE)].any()
    assert not ben[int(3.6 * RATE) :].any() and np.abs(np.diff(ben)).max() < 0.01
    assert (tracks["Anna"][:, int(0.5 * RATE) : RATE] == 1).all()


def test_channels_are_tracks():
    tracks = by_channel(np.stack([np.full(10, 0.1), np.full(10, 0.2)]))
    assert [track.shape for track in tracks.values()] == [(1, 10)] * 2 and tracks["channel 2"][0, 0] == 0.2
    with pytest.raises(ValueError, match="one channel"):
        by_channel(np.zeros((1, 10)))


def test_too_many_speakers_and_late_turns_are_refused():
    with pytest.raises(ValueError, match="5 speakers"):
        by_turns(np.zeros((1, 10 * RATE)), RATE, [Turn(str(i), i, i + 1) for i in range(5)])
    with pytest.raises(ValueError, match="turn of Anna starts at 12 s"):
        by_turns(np.zeros((1, 10 * RATE)), RATE, [Turn("Anna", 12, 13)])

"""How well a trained gesture planner answers the voice: python -m drawn_world.hands PLANNER HELD_OUT_CLIPS.

The clips are those of `drawn_world.make --from-voice`, whose hands follow the voice by rule; it needs librosa, whose
accents neither rule nor planner knows. Beside the planner's hands stand the true ones, and the planner's for the voice
of another clip.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.gestures import HEAD, Voice, row, score, text_of
from echomimic_core.config import FPS
from echomimic_core.gestures.cutting import to_body
from echomimic_core.gestures.library import built_in
from echomimic_core.gestures.prosody import listen
from echomimic_core.gestures.trained import GesturePlanner, load_planner, pose_from
from echomimic_core.measures import beats
from echomimic_core.training.data.shards import Clip, read_manifest


def voice_of(clip: Clip) -> Voice:
    sound = clip.sound()
    heard = listen(torch.from_numpy(sound), len(clip), FPS)
    accents, loudness = beats.accents_of(sound, FPS), beats.loudness_of(sound, len(clip), FPS)
    return Voice(clip.info.clip, accents, loudness, heard)


def rows(planner: GesturePlanner, clips: Sequence[Clip], seeds: range) -> list[dict]:
    """The scores of the true hands, of the planner's, and of the planner's for another clip's voice."""
    base = built_in(FPS).base
    voices = [voice_of(clip) for clip in clips]
    states = [torch.from_numpy(clip.audio()) for clip in clips]
    # Of another speaker, and not as far into the speech: all speeches begin with an accent.
    others = np.roll(np.arange(len(clips)), len(clips) // 2 + 1)
    true = [[score(to_body(clip.pose(), base), voice)] for clip, voice in zip(clips, voices, strict=True)]

    def planned(heard: Sequence[int]) -> list:
        poses = ([pose_from(planner, states[i], len(clips[i]), seed) for seed in seeds] for i in heard)
        return [[score(pose, voice) for pose in made] for made, voice in zip(poses, voices, strict=True)]

    return [
        row("true hands", true),
        row("planner", planned(range(len(clips)))),
        row("planner, another's voice", planned(others)),
    ]


def draw(log: Path, path: Path) -> None:
    """Both losses of a training over its steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    table = np.genfromtxt(log, delimiter=",", names=True)
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for name, title in (("loss", "clips learnt from"), ("held_out", "held-out clips")):
        axes.plot(table["step"], table[name], label=title, linewidth=1)
    axes.set(xlabel="step", ylabel="mean squared error")
    axes.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("planner", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--curve", type=Path, metavar="FILE.png", help="also draw the losses beside the planner")
    given = parser.parse_args()
    if given.curve:
        draw(given.planner.with_name("log.csv"), given.curve)
    print(HEAD)
    for found in rows(load_planner(given.planner), read_manifest(given.clips), range(given.seeds)):
        print(text_of(found))


if __name__ == "__main__":
    main()

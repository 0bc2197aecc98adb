"""Draw an APDH schedule: `python -m echomimic_core.training.apdh_picture OUT.png [CONFIG]`."""

import argparse
from pathlib import Path

from ...apdh.schedule import AUDIO_REACHES, APDHSchedule
from ...choices import KEYPOINT_GROUPS

COLOURS = {"lips": "#c0392b", "face": "#e67e22", "body": "#2980b9", "hands": "#27ae60"}
SAMPLES = 600


def draw_schedule(schedule: APDHSchedule, path: str | Path) -> None:
    """Write a picture of keypoints kept, pose dropout and reach of audio over the steps of a schedule."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    steps = [round(i * (schedule.steps - 1) / (SAMPLES - 1)) for i in range(SAMPLES)]
    states = [schedule.at(step) for step in steps]
    figure, (keypoints, dropout, audio) = plt.subplots(
        3, 1, figsize=(9, 6), sharex=True, height_ratios=(2, 1.2, 1.4), layout="constrained"
    )
    for row, group in enumerate(KEYPOINT_GROUPS):
        kept = [group in state.keypoints for state in states]
        keypoints.fill_between(steps, row - 0.35, row + 0.35, where=kept, color=COLOURS[group], step="mid")
    keypoints.set_yticks(range(len(KEYPOINT_GROUPS)), KEYPOINT_GROUPS)
    keypoints.set_ylabel("pose sampling:\nkeypoints drawn")
    dropout.plot(steps, [100 * state.pose_dropout for state in states], color="black")
    dropout.set_ylabel("whole pose\ndropped, %")
    dropout.set_ylim(0, None)
    reach = [AUDIO_REACHES.index(state.audio) for state in states]
    audio.fill_between(steps, 0, reach, color="#8e44ad", alpha=0.6, step="mid")
    audio.set_yticks(range(len(AUDIO_REACHES)), AUDIO_REACHES)
    audio.set_ylabel("audio diffusion:\nreach")
    audio.set_xlabel("step")
    begin = 0
    for phase in schedule.phases:
        keypoints.text(begin + phase.steps / 2, len(KEYPOINT_GROUPS) - 0.45, phase.name, ha="center", va="bottom")
        for axes in (keypoints, dropout, audio):
            axes.axvline(begin, color="grey", linewidth=0.6)
        begin += phase.steps
    keypoints.set_ylim(-0.5, len(KEYPOINT_GROUPS) - 0.1)
    keypoints.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the picture to write")
    parser.add_argument("config", nargs="?", help="a training configuration or its name; default schedule if omitted")
    given = parser.parse_args(arguments)
    schedule = APDHSchedule()
    try:
        if given.config is not None:
            from ..__main__ import find_config
            from ..settings import load_settings

            schedule = load_settings(find_config(given.config)).schedule()
        draw_schedule(schedule, given.out)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

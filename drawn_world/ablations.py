"""The paper's ablations in miniature: python -m drawn_world.ablations OUT --start MODEL --vae NARROW --world CLIPS ...

Each row learns the same clips from the same model of single pictures for the same steps with one part of the method
left out, and is measured on the same held-out clips. OUT/ablations.md is the table; rows that are there already are
not made again.
"""

import argparse
import json
from pathlib import Path

from echomimic_core.files.durable import write_json, write_text
from echomimic_core.training.data.shards import read_manifest

from .measure import Maker, measure, spread
from .train import train_stage

BATCH = 4  # Clips a step
KEYPOINTS = {"lips": "hands, body, face", "head": "hands, body", "body": "hands"}
SHARES = {"lips": 0.4, "head": 0.2, "body": 0.4}  # Of the steps, by the reach of audio
COLUMNS = {
    "lip correlation": "lip_correlation",
    "with another's voice": "lip_correlation_other_voice",
    "SSIM": "ssim",
    "PSNR, dB": "psnr_still",
    "flicker, of 255": "flicker",
    "hand error, %": "hand_error_made",
    "hands found, %": "hands_found_made",
}


def phases(steps: dict[str, int], dropout: float) -> str:
    """APDH's spatial phases by the reach of audio, as --set takes them."""
    listed = (
        f"{{name: {reach}, steps: {count}, keypoints: [{KEYPOINTS[reach]}], pose_dropout: [{dropout}, {dropout}], "
        f"audio: {reach}}}"
        for reach, count in steps.items()
    )
    return f"apdh.phases=[{', '.join(listed)}]"


def rows(steps: int) -> dict[str, list[str]]:
    """What each row changes in nano_clips.yaml."""
    whole = phases({reach: round(share * steps) for reach, share in SHARES.items()}, 0.1)
    return {
        "full": [whole],
        "full, other seed": [whole, "seed=1"],
        "without APDH": [phases({"body": steps}, 0.0)],
        "without L_pose": [whole, "loss.pose=0"],
        "without L_detail": [whole, "loss.detail=0"],
        "without L_low": [whole, "loss.low=0"],
        "without HPA": [whole, "data.headshot_share=0"],
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """The rows as Markdown."""
    columns = {title: key for title, key in COLUMNS.items() if any(key in row for row in found.values())}
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(f"{row[key]:g}" for key in columns.values())] for name, row in found.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="the model that train.py's pictures stage ended with")
    parser.add_argument("--vae", type=Path, required=True, help="nano_vae_narrow.safetensors of train.py")
    parser.add_argument("--world", type=Path, required=True, help="clips to learn from")
    parser.add_argument("--held-out", type=Path, required=True, help="clips to measure on")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these, as 'without HPA'")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--clips", type=int, default=8, help="to measure on")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--processes", type=int, default=2, help="1, 2 or 4")
    given = parser.parse_args()
    clips = spread(read_manifest(given.held_out), given.clips)
    common = [
        f"data.folders=[{given.world.resolve()}]",
        f"data.size={given.size}",
        f"vae={given.vae.resolve()}",
        f"init.file={given.start.resolve()}",
        f"train.steps={given.steps}",
        f"train.batch_size={BATCH // given.processes}",
    ]
    found = {}
    for name, changes in rows(given.steps).items():
        if given.rows and name not in given.rows:
            continue
        folder = given.out.resolve() / name.replace(" ", "_")
        numbers = folder / "measured.json"
        if not numbers.exists():
            model = train_stage("clips", folder, given.processes, *common, *changes)
            maker = Maker(model, given.vae, given.size, steps=6, guidance=1.0)
            write_json(numbers, measure(maker, clips))
        found[name] = json.loads(numbers.read_text(encoding="utf-8"))
        write_text(given.out / "ablations.md", table(found))
    print(table(found))


if __name__ == "__main__":
    main()

"""Keep the log and curves of a training: python -m drawn_world.curves RUN/pictures RUN/clips --out docs/NAME.

OUT.csv holds the means of blocks of steps, OUT.png their curves.
"""

import argparse
import csv
import io
import json
from pathlib import Path

from echomimic_core.files.durable import write_text

BLOCK = 25
COLUMNS = ("loss", "loss_latent", "loss_pose", "loss_detail", "loss_low", "gradient_norm", "learning_rate")


def read_log(folder: Path) -> list[dict]:
    """The records of a run's losses.jsonl, the last one of each step."""
    lines = (folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return list({record["step"]: record for record in map(json.loads, lines)}.values())


def blocks(stage: str, records: list[dict]) -> list[dict]:
    """Means of every `BLOCK` steps; a term that no step of a block had stays empty."""
    rows = []
    for begin in range(0, len(records), BLOCK):
        block = records[begin : begin + BLOCK]
        row = {"stage": stage, "phase": block[-1]["phase"], "step": block[-1]["step"]}
        for name in COLUMNS:
            values = [record[name] for record in block if name in record]
            row[name] = f"{sum(values) / len(values):.5g}" if values else ""
        rows.append(row)
    return rows


def draw(rows: list[dict], path: Path) -> None:
    """The terms of the loss over the steps, one stage next to the other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    stages = list(dict.fromkeys(row["stage"] for row in rows))
    figure, every = plt.subplots(1, len(stages), figsize=(5 * len(stages), 4), squeeze=False, layout="constrained")
    for axes, stage in zip(every[0], stages, strict=True):
        mine = [row for row in rows if row["stage"] == stage]
        for name in COLUMNS[1:5]:
            shown = [(row["step"], float(row[name])) for row in mine if row[name]]
            if shown:
                axes.plot(*zip(*shown, strict=True), label=name.removeprefix("loss_"), linewidth=1)
        for before, row in zip(mine, mine[1:], strict=False):
            if row["phase"] != before["phase"]:
                axes.axvline(before["step"], color="grey", linewidth=0.6)
        axes.set(yscale="log", xlabel="step", title=stage)
        axes.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of stages, in order")
    parser.add_argument("--out", type=Path, required=True, help="without ending")
    given = parser.parse_args()
    rows = [row for run in given.runs for row in blocks(run.name, read_log(run))]
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_text(given.out.with_suffix(".csv"), lines.getvalue())
    draw(rows, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()

"""Train: `python -m echomimic_core.training CONFIG`, or `accelerate launch -m echomimic_core.training CONFIG`."""

import argparse
import logging
import sys
from pathlib import Path

import torch

from .reading import parse_changes
from .run.records import bar_options
from .settings import load_settings

BUILT_IN = Path(__file__).with_name("configs")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m echomimic_core.training", description=__doc__)
    parser.add_argument("config", help=f"a YAML file, or one of {', '.join(p.stem for p in BUILT_IN.glob('*.yaml'))}")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="latest",
        metavar="CHECKPOINT",
        help="continue exactly where the run stopped: from its newest checkpoint, or the given one; auto continues if "
        "there is a checkpoint, and starts otherwise",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, such as train.steps=100 or data.folders=[clips]; may be given many times",
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    try:
        settings = load_settings(find_config(given.config), parse_changes(given.set))
        from .run.checkpoint import find_checkpoints
        from .run.leaving import LeftError
        from .run.loop import Trainer

        trainer = Trainer(settings, given.resume)
    except (ValueError, OSError) as error:
        # Every kind of wrong input is a ValueError with a sentence
        return fail(error)
    try:
        last = trainer.run(Bar(trainer) if trainer.accelerator.is_main_process else None)
    except (ValueError, OSError, ArithmeticError) as error:
        return fail(error)
    except torch.OutOfMemoryError as error:
        return fail(
            f"step {trainer.step + 1} needs more memory than {trainer.accelerator.device} has: lower data.size, "
            "data.frames or train.batch_size (with more train.accumulation), or see 'If memory is short' in "
            f"docs/training.md. {str(error).splitlines()[0]}"
        )
    except LeftError as error:
        print(f"{error}: --resume continues from there", file=sys.stderr)
        return 128 + error.number
    except KeyboardInterrupt:
        found = find_checkpoints(trainer.output)
        how = f"--resume continues from {found[-1].name}" if found else "there is no checkpoint yet, so start it again"
        print(f"stopped at step {trainer.step}: {how}", file=sys.stderr)
        return 130
    if last is not None and trainer.accelerator.is_main_process:
        logging.info("done: %s", last)
    if trainer.accelerator.num_processes > 1:
        trainer.accelerator.end_training()
    return 0


def fail(problem: Exception | str) -> int:
    """Say what went wrong, by a sentence, and the exit status for it."""
    if isinstance(problem, OSError):
        place = f"{problem.filename}: " if problem.filename else ""
        problem = (
            f"{place}{problem.strerror or problem}. A run needs an 'output' folder that can be written, with space for "
            "its checkpoints, and data that can be read"
        )
    # What a process that loads samples raises comes with its whole traceback in front
    print(str(problem).rstrip().rsplit("Error: ", 1)[-1], file=sys.stderr)
    return 1


def find_config(name: str) -> Path:
    built_in = BUILT_IN / f"{name}.yaml"
    return built_in if not Path(name).exists() and built_in.exists() else Path(name)


class Bar:
    """A progress bar over the whole run, with the time that is left."""

    def __init__(self, trainer):
        from tqdm import tqdm

        total = trainer.settings.train.steps
        self.bar = tqdm(total=total, initial=trainer.step, unit="step", dynamic_ncols=True, **bar_options())

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.bar.close()


if __name__ == "__main__":
    sys.exit(main())

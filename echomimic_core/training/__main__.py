"""Train: `python -m echomimic_core.training CONFIG`, or `accelerate launch -m echomimic_core.training CONFIG`."""

import argparse
import logging
import sys
from pathlib import Path

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
        help="go on exactly where the run stopped: at its newest checkpoint, or the one named",
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
        from .loop import Trainer

        trainer = Trainer(settings, given.resume)
    except ValueError as problem:
        # every kind of wrong input is a ValueError with a sentence
        print(problem, file=sys.stderr)
        return 1
    try:
        last = trainer.run(Bar(trainer) if trainer.accelerator.is_main_process else None)
    except FloatingPointError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped at step {trainer.step}: --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    if last is not None and trainer.accelerator.is_main_process:
        logging.info("done: %s", last)
    if trainer.accelerator.num_processes > 1:
        trainer.accelerator.end_training()
    return 0


def find_config(name: str) -> Path:
    built_in = BUILT_IN / f"{name}.yaml"
    return built_in if not Path(name).exists() and built_in.exists() else Path(name)


def parse_changes(pairs: list[str]) -> dict:
    import yaml

    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair!r} should be KEY=VALUE, such as train.steps=100")
        changes[key.strip()] = yaml.safe_load(value)
    return changes


class Bar:
    """A progress bar over the whole run, with the time that is left."""

    def __init__(self, trainer):
        from tqdm import tqdm

        self.bar = tqdm(total=trainer.settings.train.steps, initial=trainer.step, unit="step", dynamic_ncols=True)

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.bar.close()


if __name__ == "__main__":
    sys.exit(main())

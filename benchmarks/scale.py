"""`python -m benchmarks.scale`: what many clips cost on many cards, from counted work and printed assumptions.

The work of each part is counted (docs/speed.md); what a card makes of its peak, prices and failures are assumptions
that can be given. The simulation hands out clips of uneven length to cards that now and then are lost.
"""

import argparse
import heapq
import sys
from dataclasses import dataclass

import numpy as np

from echomimic_core.config import CONTEXT_FRAMES, CONTEXT_OVERLAP, FPS, VARIANTS

# TFLOP at 768 x 768: a window of 12 frames with and without guidance, the picture once, a decoded frame.
GUIDED, UNGUIDED, REFERENCE, DECODE = 74.6, 41.4, 2.08, 5.75
LATENT_MB = 4 * 96 * 96 * 4 / 1e6  # A frame of a segment on disk.


@dataclass(frozen=True)
class Card:
    """A card: dense float16 TFLOP/s as its maker says, and dollars an hour to rent it (an assumption)."""

    name: str
    peak: float
    price: float


CARDS = (
    Card("RTX 3060 12 GB", 51, 0.10),
    Card("RTX 4090", 165, 0.40),
    Card("L40S", 362, 0.90),
    Card("A100 80 GB", 312, 1.50),
    Card("H100 SXM", 989, 2.50),
)


@dataclass(frozen=True)
class Plan:
    """What is to be made, and what is assumed of the machines.

    Attributes
    ----------
    hours : of video. clip_seconds : mean length of a clip. share : of the peak that is reached.
    load_seconds : until a worker has the model. hours_to_failure : of one card. segment_seconds : of video that are
        lost with a card. megabits : a second of video.
    """

    hours: float
    clip_seconds: float
    share: float
    load_seconds: float
    hours_to_failure: float
    segment_seconds: float
    megabits: float
    cards: int


def work_of_a_second(variant: str) -> float:
    """TFLOP for a second of video."""
    steps, guided = VARIANTS[variant].steps, VARIANTS[variant].guidance_scale > 1
    windows = FPS / (CONTEXT_FRAMES - CONTEXT_OVERLAP)
    return steps * windows * (GUIDED if guided else UNGUIDED) + FPS * DECODE


def simulate(plan: Plan, per_second: float, seed: int = 0) -> tuple[float, float]:
    """Hours until all clips are made, and the share of the cards' time that was not spent on a video that is kept."""
    rng = np.random.default_rng(seed)
    count = max(round(plan.hours * 3600 / plan.clip_seconds), 1)
    lengths = rng.lognormal(np.log(plan.clip_seconds) - 0.5, 1.0, count)
    lengths *= plan.hours * 3600 / lengths.sum()
    free = [plan.load_seconds] * plan.cards
    failure = plan.hours_to_failure * 3600
    end = 0.0
    for length in lengths:
        begin = heapq.heappop(free)
        seconds = length * per_second
        for _ in range(rng.poisson(seconds / failure)):
            # The segment that was cut off is made again, by a worker that has to load.
            seconds += plan.load_seconds + rng.uniform(0, min(plan.segment_seconds, length)) * per_second
        end = max(end, begin + seconds)
        heapq.heappush(free, begin + seconds)
    return end / 3600, 1 - plan.hours * 3600 * per_second / (end * plan.cards)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--hours", type=float, default=1000, help="of video")
    parser.add_argument("--cards", type=int, default=64)
    parser.add_argument("--clip-seconds", type=float, default=30, help="mean length of a clip")
    parser.add_argument("--share", type=float, default=0.35, help="of a card's peak that is reached")
    parser.add_argument("--load-seconds", type=float, default=60)
    parser.add_argument("--hours-to-failure", type=float, default=2000, help="of one card")
    parser.add_argument("--segment-seconds", type=float, default=10)
    parser.add_argument("--megabits", type=float, default=4, help="a second of video on disk")
    given = parser.parse_args(arguments)
    plan = Plan(**vars(given))
    print("assumed: " + ", ".join(f"{name} {value:g}" for name, value in vars(plan).items()))
    for variant in VARIANTS:
        work = work_of_a_second(variant)
        decode = FPS * DECODE / work
        print(f"\n{variant}: {work:.0f} TFLOP a second of video at 768x768, {100 * decode:.0f} % of it decoding")
        for card in CARDS:
            per_second = work / (card.peak * plan.share)
            hours, lost = simulate(plan, per_second)
            print(
                f"  {card.name:16} {3600 / (per_second * plan.clip_seconds):8.1f} clips an hour; {plan.cards} cards: "
                f"{hours:8.0f} h, ${hours * plan.cards * card.price:,.0f} at ${card.price:.2f} an hour, "
                f"{100 * lost:.1f} % of their time lost"
            )
    seconds = plan.hours * 3600
    print(f"\nvideos {seconds * plan.megabits / 8e6:.2f} TB; while they are made, segments of {plan.cards} cards")
    print(f"{plan.cards * plan.clip_seconds * FPS * LATENT_MB / 1e3:.1f} GB; one model read by each card, 8 GB at once")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Harm the whole system for as long as wanted: `uv run python -m tests.chaos --seed 7 --events 1000`.

Prints what was done, how it ended and every violation with the seed and the events before it; exits with 1 if
there was one.
"""

import argparse
import random
import sys

from tests.chaos.trial import run


def main() -> int:
    """Run trials; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first trial; by default one of chance")
    parser.add_argument("--events", type=int, default=200, help="events in a trial (%(default)s)")
    parser.add_argument("--trials", type=int, default=1, help="trials, with seeds that follow (%(default)s)")
    arguments = parser.parse_args()
    first = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    is_violated = False
    for seed in range(first, first + arguments.trials):
        report = run(seed, arguments.events, tell=lambda line: print(line, flush=True), keep=True)
        print("\n".join(report.lines()), flush=True)
        is_violated = is_violated or bool(report.violations)
    return int(is_violated)


if __name__ == "__main__":
    sys.exit(main())

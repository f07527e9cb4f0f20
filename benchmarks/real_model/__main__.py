"""Claim: fine-tuning the built-in model beats the untuned one on at least three of five tasks.

    python -m benchmarks.real_model answers [--seeds 3] [--folder FOLDER]
    python -m benchmarks.real_model tickets|letters|preferences|wordings
    python -m benchmarks.real_model objects --snips /data/snips

Each makes a project of an example or of public data, trains its tables [tune.NAME] once for each seed, and compares the
approaches on its test split as `groundtune compare` does. Printed are the score that decides, and the difference to the
untuned model that is asked in the same way, both with 95% intervals that include the spread between the trainings.
`answers` goes on to change ten documents, and counts the answers that still give the former value. `preferences` trains
on edits of what the voice of `letters` writes, and trains that first where the folder lacks it. `wordings` trains
nothing: it compares the prompts. An interrupted run goes on where it was.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from benchmarks.common import machine
from benchmarks.real_model import experiments

EXPERIMENTS: Mapping[str, Callable[[Path, argparse.Namespace], None]] = {
    "answers": experiments.answers,
    "tickets": experiments.tickets,
    "objects": experiments.objects,
    "letters": experiments.letters,
    "preferences": experiments.preferences,
    "wordings": experiments.wordings,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the projects are kept; default: a temporary folder")
    parser.add_argument("--snips", type=Path, help="folder of SNIPS, for objects")
    options = parser.parse_args()
    print(f"{options.experiment}, {options.seeds} seeds; {machine()}", flush=True)
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as folder:
        EXPERIMENTS[options.experiment](Path(folder), options)


if __name__ == "__main__":
    main()

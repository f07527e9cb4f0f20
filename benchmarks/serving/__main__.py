"""Claim: the server adds little to the model's own time, does not grow, and answers whatever fails around it.

    python -m benchmarks.serving latency [--passages 10000] [--seconds 60]
    python -m benchmarks.serving soak [--minutes 30] [--rate 5]
    python -m benchmarks.serving faults [--requests 20] [--only clock]
    python -m benchmarks.serving schema [--examples 200]
    python -m benchmarks.serving shadow [--requests 80]

The model is scripted: 200 ms, then 150 tokens that quote the first passage of the prompt. Client, model server and
`groundtune serve` are processes of their own.

`latency`: at 10 requests a second (open loop, Poisson arrivals, counted from when a request was due) the server adds
under 40 ms (median) and under 120 ms (95th percentile) to the model's own time; the rate at which the 95th percentile
passes 500 ms, beside that of a bare FastAPI proxy to the same model; 50 streams at once arrive whole.
`soak`: requests of all kinds at a steady rate; memory grows by less than 5% after the warm-up, no handle stays open,
and every request is answered.
`faults`: every request ends in an answer, a degraded answer or a clear error within its time budget, and no record of
an answer and no feedback is lost.
`schema`: requests made from the OpenAPI document get no 5xx, and replies are as the document says (schemathesis).
`shadow`: a second approach that answers every question unseen delays the answers that are sent by no measurable time.

Exit code 1 if a target is missed. `--folder` keeps the project with its index for the next run.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from benchmarks.common import machine
from benchmarks.serving import faults, latency, schema, shadow, soak

BENCHMARKS: Mapping[str, Callable[[Path, argparse.Namespace], bool]] = {
    "latency": latency.run,
    "soak": soak.run,
    "faults": faults.run,
    "schema": schema.run,
    "shadow": shadow.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60, help="latency: how long the server is measured")
    parser.add_argument("--minutes", type=float, default=30, help="soak: how long the server is loaded")
    parser.add_argument("--rate", type=float, default=5, help="soak: requests a second")
    parser.add_argument("--examples", type=int, default=200, help="schema: requests to each endpoint")
    parser.add_argument("--requests", type=int, default=20, help="faults: sent for each; shadow: pairs")
    parser.add_argument(
        "--patience", type=float, default=30, help="faults: seconds of a request where nothing should be noticed"
    )
    parser.add_argument("--only", action="append", choices=faults.KINDS, help="faults: of this kind; may be repeated")
    parser.add_argument("--folder", type=Path, help="where the project is kept; default: a temporary folder")
    options = parser.parse_args()
    print(f"serving {options.benchmark}; {machine()}", flush=True)
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as folder:
        is_met = BENCHMARKS[options.benchmark](Path(folder), options)
    sys.exit(not is_met)


if __name__ == "__main__":
    main()

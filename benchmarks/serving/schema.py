"""Send requests made from the OpenAPI document, and check that replies are as it says and none is a 5xx."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from benchmarks.common import table
from benchmarks.serving import place
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

PROMISES = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


def run(folder: Path, options: argparse.Namespace) -> bool:
    place.make_place(folder, passages=min(options.passages, 500))
    rows = [("endpoint", "n", "statuses", "failures")]
    is_met = True
    with place.model() as model:
        place.write_project_file(folder, model_url=model.url)
        with place.groundtune(folder) as ours:
            document = httpx2.get(f"{ours.url}/openapi.json", timeout=60).json()
            schema = schemathesis.openapi.from_dict(document)
            for path, operations in document["paths"].items():
                for method in operations:
                    statuses, failures = _try(schema[path][method], ours.url, options.examples)
                    told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
                    rows.append((f"{method.upper()} {path}", str(statuses.total()), told, str(len(failures) or "")))
                    is_met &= not failures
                    for failure in failures:
                        print(failure)
    table(rows)
    return is_met


def _try(operation: Any, url: str, examples: int) -> tuple[Counter[int], list[str]]:
    """Return the statuses of the replies, and what is wrong with them."""
    statuses: Counter[int] = Counter()
    failures: list[str] = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "served"  # made-up names are refused before anything else is read
        reply = case.call(base_url=url)
        statuses[reply.status_code] += 1
        try:
            case.validate_response(reply, checks=CHECKS.get_by_names(PROMISES))
        except FailureGroup as group:
            failures.extend(f"{operation.label}: {failure}"[:300] for failure in group.exceptions)

    check()
    return statuses, failures

"""Find rows whose evidence not everyone may read, before it is trained into a model that everyone can query. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from groundtune.common.text import format_count
from groundtune.tune.job import TrainingRow
from groundtune.tune.preflight.findings import PreflightFinding, format_ids, make_finding
from groundtune.types import EVERYONE


def check_access(
    rows: Sequence[TrainingRow],
    *,
    documents: Mapping[str, Sequence[str]],
    access: Mapping[str, Sequence[str]],
    allowed: Sequence[str] = (),
) -> list[PreflightFinding]:
    """Check the rows. documents: row id to the sources of its evidence. access: source to the groups that may read it.

    A document passes when everyone may read it, or when all its groups are among `allowed`.
    """
    barred: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    permitted: dict[str, list[str]] = defaultdict(list)
    unknown: list[str] = []
    for row in rows:
        for source in dict.fromkeys(documents.get(row.id, ())):
            groups = access.get(source, access.get(source.partition("#")[0]))
            if groups is None:
                unknown.append(row.id)
            elif EVERYONE not in groups:
                lacking = tuple(sorted(set(groups) - set(allowed)))
                (barred[lacking][source] if lacking else permitted[source]).append(row.id)
    findings = []
    for groups, sources in sorted(barred.items()):
        ids = list(dict.fromkeys(name for row_ids in sources.values() for name in row_ids))
        readers = ", ".join(groups) or "nobody"
        message = f"{format_count(len(ids))} with evidence that only {readers} may read ({format_ids(sorted(sources))})"
        quoted = ", ".join(f'"{group}"' for group in sorted({*allowed, *groups}))
        hint = f"remove them from train, or set allow_groups = [{quoted}]"
        findings.append(make_finding("error", "access", f"train: {message}", hint=hint, rows=ids))
    if permitted:
        ids = list(dict.fromkeys(name for row_ids in permitted.values() for name in row_ids))
        count = format_count(len(ids))
        message = (
            f"train: {count} with restricted evidence, as allow_groups permits; note that everyone can query the model"
        )
        findings.append(make_finding("warning", "access", message, rows=ids))
    if unknown:
        ids = list(dict.fromkeys(unknown))
        message = f"train: {format_count(len(ids))} with evidence in documents that are not in the index"
        findings.append(make_finding("warning", "access", message, hint="groundtune ingest", rows=ids))
    return findings

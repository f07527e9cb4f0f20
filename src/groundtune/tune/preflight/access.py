"""Rows whose evidence not everyone may read, before it goes into weights that everyone may ask. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from groundtune.tune.job import Row
from groundtune.tune.preflight.findings import Finding, counted, finding, named
from groundtune.types import EVERYONE


def check(
    rows: Sequence[Row],
    *,
    documents: Mapping[str, Sequence[str]],
    access: Mapping[str, Sequence[str]],
    allowed: Sequence[str] = (),
) -> list[Finding]:
    """documents: id of a row to the sources of its evidence. access: source to the groups that may read it.

    A document is let through when everyone may read it, or when each of its groups is among `allowed`.
    """
    barred: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    known: dict[str, list[str]] = defaultdict(list)
    unknown: list[str] = []
    for row in rows:
        for source in dict.fromkeys(documents.get(row.id, ())):
            groups = access.get(source, access.get(source.partition("#")[0]))
            if groups is None:
                unknown.append(row.id)
            elif EVERYONE not in groups:
                lacking = tuple(sorted(set(groups) - set(allowed)))
                (barred[lacking][source] if lacking else known[source]).append(row.id)
    findings = []
    for groups, sources in sorted(barred.items()):
        ids = list(dict.fromkeys(name for own in sources.values() for name in own))
        whom = ", ".join(groups) or "nobody"
        message = f"{counted(len(ids))} with evidence that only {whom} may read ({named(sorted(sources))})"
        quoted = ", ".join(f'"{one}"' for one in sorted({*allowed, *groups}))
        hint = f"take them out of train, or allow_groups = [{quoted}]"
        findings.append(finding("error", "access", f"train: {message}", hint=hint, rows=ids))
    if known:
        ids = list(dict.fromkeys(name for own in known.values() for name in own))
        message = (
            f"train: {counted(len(ids))} with restricted evidence, as allow_groups permits; the model tells everyone"
        )
        findings.append(finding("warning", "access", message, rows=ids))
    if unknown:
        ids = list(dict.fromkeys(unknown))
        message = f"train: {counted(len(ids))} with evidence in documents that are not in the index"
        findings.append(finding("warning", "access", message, hint="groundtune ingest", rows=ids))
    return findings

"""Remove from an index what is gone or restricted now. Reads and embeds nothing, so nothing but the disk delays it."""

import asyncio
from collections.abc import Iterable, Mapping

from groundtune.ingest.scan import FileWalk, Scanner, SyncPlan
from groundtune.ingest.source_items import groups_changed, owner
from groundtune.protocols import Catalog, Store
from groundtune.types import FileRow


async def remove_gone(files: FileWalk, *, catalog: Catalog, store: Store, scanner: Scanner) -> None:
    """Remove files that are gone, and files and items that some who could read them may no longer.

    Raises the refusal of `files` after that.
    """
    known, unfinished = await catalog.files(), await catalog.unfinished()
    items = {source for source in {**known, **unfinished} if owner(source, known.get(source)) in scanner.other_sources}
    own = {source: row for source, row in known.items() if source not in items}
    own_unfinished = {source: ids for source, ids in unfinished.items() if source not in items}
    plan = await asyncio.to_thread(scanner.plan, files, own, own_unfinished)
    sources = await gone(plan, known, catalog)
    sources += [item for item in items & known.keys() if groups_changed(item, known[item], scanner.groups_for)]
    await remove_sources(sources, unfinished, catalog=catalog, store=store)
    if files.refusal:
        raise files.refusal


async def gone(plan: SyncPlan, known: Mapping[str, FileRow], catalog: Catalog) -> list[str]:
    """Return the files that are gone, and the restricted ones that still have their old groups."""
    rows = await catalog.files() if plan.restricted else {}
    restricted = (file.source for file in plan.restricted if file.source in rows)
    return [*plan.removed, *(source for source in restricted if rows[source] == known.get(source))]


async def remove_sources(
    sources: Iterable[str], unfinished: Mapping[str, Iterable[str]], *, catalog: Catalog, store: Store
) -> None:
    """Remove files or items with all their documents. unfinished: documents that an interrupted run may have left."""
    sources = list(sources)
    ids = {
        document: source
        for source in sources
        for document in {*await catalog.document_states(source), *unfinished.get(source, ())}
    }
    if ids:
        await catalog.mark_unfinished(ids.items())
        await store.delete(list(ids))
    await catalog.remove(sources)

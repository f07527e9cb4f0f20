"""Bring the items of one source up to date: ask for changes, index them, remove what is gone, then save the cursor."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from groundtune.ingest.scan import ScannedFile, Scanner
from groundtune.ingest.source_items import (
    ConfiguredSource,
    decode_cursor,
    encode_cursor,
    failure_reason,
    failure_row,
    groups_changed,
    plan_changes,
    read_changes,
)
from groundtune.protocols import Catalog, Source
from groundtune.types import FileRow


async def update_source(
    source: ConfiguredSource,
    saved: str | None,
    *,
    known: Mapping[str, FileRow],
    unfinished: Mapping[str, object],
    catalog: Catalog,
    scanner: Scanner,
    index: Callable[[Sequence[ScannedFile]], Awaitable[None]],
    remove: Callable[[Sequence[str]], Awaitable[None]],
) -> FileRow | None:
    """Update the items of a source; return the row that says why it failed, or None.

    saved: the cursor in the catalog. known, unfinished: the items that the catalog knows, and those that an interrupted
    run may have left in the store. The source starts over, with the cursor None, after such a run, if its settings have
    changed, or if access rules give a known item other groups; what it then does not report is removed. An item with
    other groups is removed even if the source fails: it must not stay readable for the old groups.
    """
    settings, cursor = decode_cursor(saved)
    restricted = {item for item, row in known.items() if groups_changed(item, row, scanner.groups_for)}
    start_over = bool(settings != source.settings or restricted or unfinished)
    if start_over:
        cursor = None
    complete, more = False, True
    listed: set[str] = set()
    reader: Source | None = None
    while more:
        try:
            reader = reader or source.open()
            changes = await read_changes(reader, cursor)
        except Exception as error:  # noqa: BLE001  a source raises anything; the others are still read
            if lost := restricted - listed:
                if settings is not None:
                    await catalog.save_cursor(source.name, encode_cursor(settings, None))
                await remove(sorted(lost))
            row = failure_row(source.name, failure_reason(error))
            await catalog.save_rows([row])
            return row
        reread = listed.union(unfinished)
        plan = await asyncio.to_thread(plan_changes, source.name, changes, known=known, reread=reread, scanner=scanner)
        await catalog.save_rows(plan.touched)
        await index(plan.pending)
        await remove(sorted(plan.removed & (known.keys() | unfinished.keys() | listed)))
        listed = (listed - plan.removed) | plan.listed
        cursor, complete, more = changes.cursor, changes.complete, changes.more
    gone = known.keys() | unfinished.keys() if complete or start_over else {f"{source.name}:"} & known.keys()
    await remove(sorted(gone - listed))
    await catalog.save_cursor(source.name, encode_cursor(source.settings, cursor))
    return None

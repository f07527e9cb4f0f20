"""Build the sources outside the project folder, from the tables [sources.NAME]."""

import json
from functools import partial
from pathlib import Path

from groundtune.build.extension_parts import call_maker, check_options, part_maker
from groundtune.common.files import digest_text
from groundtune.config import Config
from groundtune.config.model_tables import SourceConfig
from groundtune.ingest.folder_source import FolderSource, folder_of
from groundtune.ingest.source_items import ConfiguredSource
from groundtune.protocols import Source


def sources(config: Config, root: Path) -> list[ConfiguredSource]:
    """Return the sources of the project file, which are made on use. Raises UsageError for options that do not fit."""
    return [configured_source(name, table, root) for name, table in config.sources.items()]


def source_folders(config: Config, root: Path) -> dict[str, Path]:
    """Return where the sources that are folders have their files, by the name of their table."""
    tables = {name: table for name, table in config.sources.items() if table.kind == "folder"}
    return {name: folder_of(root, str(table.options.get("path", ""))) for name, table in tables.items()}


def configured_source(name: str, table: SourceConfig, root: Path) -> ConfiguredSource:
    """Return the source of one table. Raises UsageError for options that do not fit."""
    place, options = f"sources.{name}", table.options
    make = FolderSource if table.kind == "folder" else part_maker("source", table.kind)
    check_options(make, (root,), options, place=place)
    settings = digest_text(json.dumps([table.kind, options], sort_keys=True, default=str))[:16]
    return ConfiguredSource(
        name, settings, partial(call_maker, make, (root,), options, Source, noun=f'{place}, of kind "{table.kind}",')
    )

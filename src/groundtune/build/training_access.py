"""Find out who may ask a trained model: what it learnt from documents, it may repeat to whoever asks."""

from collections.abc import Sequence
from pathlib import Path

from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.config import Config
from groundtune.dataset.examples import find_examples
from groundtune.errors import MissingError
from groundtune.ingest.access_rules import groups_for
from groundtune.types import EVERYONE, Artifact

SHOWN = 3
"""Files that a message names."""


async def readers_of(config: Config, resources: Resources, artifact: Artifact) -> list[frozenset[str]]:
    """Return the groups that may read each restricted text the model was trained on, by today's access rules.

    Raises MissingError when a document it was trained on is gone: nobody may read that text any more.
    """
    rules = [(rule.include, rule.groups) for rule in config.documents.access]
    readers = {frozenset(groups) for groups in artifact.details.get("example_groups", ())}
    gone: list[str] = []
    for source in artifact.seen_documents:
        file = source.partition("#")[0]
        readers.add(frozenset(groups_for(file, rules)))
        if not await _exists(config, resources.root, resources.index, source):
            gone.append(source)
    if gone:
        raise MissingError(
            f"was trained on {_some(gone)}, which no longer exists in this project; run groundtune tune {artifact.name}"
        )
    return sorted((groups for groups in readers if EVERYONE not in groups), key=sorted)


async def _exists(config: Config, root: Path, index: OpenIndex | None, source: str) -> bool:
    """Whether a source is in the index, or is a file of examples; without an index, whether the file exists."""
    if index is not None and await index.holds(source):
        return True
    file = root / source.partition("#")[0]
    return file.is_file() and (index is None or file in find_examples(root, config.examples.files))


def _some(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - SHOWN:,} more" if len(sources) > SHOWN else ""
    return ", ".join(sources[:SHOWN]) + more

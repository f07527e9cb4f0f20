"""Find kinds of training by name, those of installed packages included. One module describes each kind.

A kind is everything groundtune knows about the tables [tune.NAME] of one `kind`: see `protocols.TrainingKind`. The
trainers themselves are in tune/, and are imported only when one is used.
"""

from collections.abc import Mapping

from groundtune.build.training_kinds.classifier import Classifier
from groundtune.build.training_kinds.extractor import Extractor
from groundtune.build.training_kinds.hosted import Hosted
from groundtune.build.training_kinds.lora import Lora
from groundtune.build.training_kinds.retriever import Retriever
from groundtune.config import Config
from groundtune.errors import MissingError
from groundtune.extensions import load_extensions
from groundtune.protocols import TrainingKind
from groundtune.types import TunedApproach

_KINDS: tuple[TrainingKind, ...] = (Classifier(), Extractor(), Lora(), Retriever(), Hosted())
BUILT_IN: Mapping[str, TrainingKind] = {kind.kind: kind for kind in _KINDS}


def training_kind(name: str) -> TrainingKind:
    """Return the kind of this name. Raises MissingError when no installed package provides it."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    extensions = load_extensions()
    if name in extensions.trainers:
        kind: TrainingKind = extensions.trainers[name]
        return kind
    broken = "; ".join(extensions.broken.values())
    message = f"no kind of training {name!r}" + (f" ({broken})" if broken else "")
    raise MissingError(message, hint="install the package that provides it")


def sees_history(kind: TrainingKind) -> bool:
    """Whether models of a kind see the conversation before an input, so that equal inputs may differ."""
    return bool(getattr(kind, "sees_history", False))


def tuned_tables(config: Config) -> dict[str, dict[TunedApproach, str]]:
    """Map each table [tune.NAME] whose models answer questions to its approaches, with the name of each.

    The plain name, such as `tuned`, is that of the only table that provides the approach; of several, each is named
    after its table, `tuned:NAME`. Plain `hybrid` is the only one that is trained over retrieved passages.
    """
    kinds = {name: training_kind(table.kind).approaches(table, config.task) for name, table in config.tune.items()}
    provided = {name: roles for name, roles in kinds.items() if roles}
    plain: dict[TunedApproach, str] = {}
    for role in {role for roles in provided.values() for role in roles}:
        tables = [name for name, roles in provided.items() if role in roles]
        over_passages = [name for name in tables if tuple(provided[name]) == ("hybrid",)]
        if len(tables) == 1 or len(over_passages) == 1:
            plain[role] = tables[0] if len(tables) == 1 else over_passages[0]
    return {
        name: {role: role if plain.get(role) == name else f"{role}:{name}" for role in roles}
        for name, roles in provided.items()
    }

"""Find kinds of training by name, those of installed packages included. One module describes each kind.

A kind is everything groundtune knows about the tables [tune.NAME] of one `kind`: see `protocols.TrainingKind`. The
trainers themselves are in tune/, and are imported only when one is used.
"""

from collections.abc import Mapping, Sequence

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


def tuned_tables(config: Config) -> dict[str, Sequence[TunedApproach]]:
    """Map each table [tune.NAME] whose models answer questions to the approaches that they provide."""
    provided = {name: training_kind(table.kind).approaches(table, config.task) for name, table in config.tune.items()}
    return {name: approaches for name, approaches in provided.items() if approaches}

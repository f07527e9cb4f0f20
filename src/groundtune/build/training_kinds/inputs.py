"""What a kind of training builds its rows and its job from."""

from dataclasses import dataclass, field

from groundtune.build.resources import Resources
from groundtune.build.training_kinds.decontamination import Decontaminator
from groundtune.config import Config


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """The project as a kind of training sees it."""

    name: str
    """Name of the table [tune.NAME], for error messages."""
    config: Config
    resources: Resources
    """Output format of the task, train split and index."""
    decontaminator: Decontaminator = field(default_factory=Decontaminator)
    """Recognises passages that must not be trained on, because they leak a test example."""

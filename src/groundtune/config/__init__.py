"""Read groundtune.toml: its tables, their problems in plain English, and the values fitted on examples."""

from groundtune.config.model_tables import EmbedderConfig, ModelConfig
from groundtune.config.project_file import CheckConfig, Config, load_config
from groundtune.workspace import PROJECT_FILE, find_project

__all__ = [
    "PROJECT_FILE",
    "CheckConfig",
    "Config",
    "EmbedderConfig",
    "ModelConfig",
    "find_project",
    "load_config",
]

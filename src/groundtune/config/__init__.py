"""Read groundtune.toml: its tables, their problems in plain English, and the values fitted on examples."""

from groundtune.config.model_tables import EmbedderConfig, ModelConfig
from groundtune.config.project_file import PROJECT_FILE, CheckConfig, Config, find_project, load_config

__all__ = [
    "PROJECT_FILE",
    "CheckConfig",
    "Config",
    "EmbedderConfig",
    "ModelConfig",
    "find_project",
    "load_config",
]

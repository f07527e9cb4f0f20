"""Read groundtune.toml: its tables, their problems in plain English, and the values fitted on examples."""

from groundtune.config.project_file import (
    OPENAI_URL,
    PROJECT_FILE,
    CheckConfig,
    Config,
    EmbedderConfig,
    ModelConfig,
    find_project,
    load_config,
)

__all__ = [
    "OPENAI_URL",
    "PROJECT_FILE",
    "CheckConfig",
    "Config",
    "EmbedderConfig",
    "ModelConfig",
    "find_project",
    "load_config",
]

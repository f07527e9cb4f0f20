"""Name the folder of this user's cache, for what all projects share and what can be fetched or computed again."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Return `$XDG_CACHE_HOME/groundtune`, by default `~/.cache/groundtune`. It need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root and Path(root).is_absolute() else Path.home() / ".cache") / "groundtune"

"""Change the values that were fitted for a project, while no other command does. Decides none of them."""

from collections.abc import Callable

from groundtune.config.fitted_values import Fitted, read_fitted, write_fitted
from groundtune.workspace import Workspace

LOCK_SECONDS = 10.0
"""How long to wait for another command that changes them."""


def update_fitted(workspace: Workspace, change: Callable[[Fitted], Fitted]) -> Fitted:
    """Replace the fitted values by what `change` makes of them, and return these. Raises LockedError."""
    with workspace.lock("settings", timeout_seconds=LOCK_SECONDS):
        fitted = change(read_fitted(workspace.fitted))
        write_fitted(workspace.fitted, fitted)
    return fitted

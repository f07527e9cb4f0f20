"""Define and validate the table [ship] of the project file. Checks nothing."""

from groundtune.config.values import Section, Text


class ShipConfig(Section):
    """What `groundtune check --ship` cannot see."""

    monitored_by: Text | None = None
    """Who or what looks at `/metrics` and `groundtune drift`, such as the address of a dashboard; None: nobody."""

"""Define and validate the table [telemetry] of the project file. Sends nothing."""

from groundtune.config.values import Section, Url

COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Environment variables of OpenTelemetry that name a collector."""


class TelemetryConfig(Section):
    """Where the server sends OpenTelemetry spans."""

    endpoint: Url | None = None
    """Address of a collector that takes OTLP over HTTP; None: `OTEL_EXPORTER_OTLP_ENDPOINT`, or no spans."""
    text: bool = False
    """Whether spans hold questions, answers and what was searched for."""

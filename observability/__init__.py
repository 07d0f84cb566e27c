"""Tells the outside world how the platform fares: OpenTelemetry behind `mesh.telemetry`."""

from observability._install import install

__all__ = ["install"]

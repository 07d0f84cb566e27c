"""Examines a deployment: what `engine doctor` runs."""

from cli.checkup.examination import PROBE_S, examine
from cli.checkup.finding import Finding, Verdict

__all__ = ["PROBE_S", "Finding", "Verdict", "examine"]

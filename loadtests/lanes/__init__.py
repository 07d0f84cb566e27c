"""Processes that talk over lanes alone: for tests of faults, and for a soak of thirty minutes."""

"""Unique ids at memory speed: the sequencer service, and `sequencer.sdk` for who needs ids."""

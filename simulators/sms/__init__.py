"""A carrier of text messages."""

"""Processes of services: forked by a supervisor, replaced one by one, asked how they are."""

"""Local identities of command lines; their keys lie beside the services' own."""

OPERATOR = "operator"
"""A person on this machine: sequences and traces."""

LOADER = "loader"
"""Loads a bank into the Ark and the customer centre, and plans what outside parties will do."""

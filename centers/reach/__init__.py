"""The reach centre: the only door to a customer."""

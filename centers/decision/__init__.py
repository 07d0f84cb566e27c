"""The decision centre: events of the bank's systems, models of what matters, and their hits."""

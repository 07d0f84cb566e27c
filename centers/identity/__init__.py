"""The identity centre: who signs on, what he may do, and the keys that tokens are signed with."""

"""The review centre: what staff and system did, and what a scene was worth."""

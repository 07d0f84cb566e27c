"""The materials centre: approved words and documents at the moment of contact."""

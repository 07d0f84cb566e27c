"""The reach centre 触达中心: the only door to a customer."""

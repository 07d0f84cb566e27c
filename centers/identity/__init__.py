"""The identity centre 统一认证: who signs on, what he may do, and the keys of tokens."""

"""The program `engine`: the only place where the parts are put together."""

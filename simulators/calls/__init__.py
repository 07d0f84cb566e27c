"""A call platform: connects staff with customers."""

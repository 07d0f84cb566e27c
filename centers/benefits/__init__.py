"""The benefits centre: gifts and privileges from counted stock, each given once."""

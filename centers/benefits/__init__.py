"""The benefits centre 权益中心: gifts and privileges from counted stock, each given once."""

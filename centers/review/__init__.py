"""The review centre 行为日志与复盘: what staff and system did, and what a scene was worth."""

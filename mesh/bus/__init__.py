"""The embedded event bus: a durable log with an offset for each group of consumers."""

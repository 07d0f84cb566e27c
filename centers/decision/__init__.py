"""The decision centre 事件中心: events of the bank's systems, and models of what matters."""

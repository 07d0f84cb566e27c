"""One database per service, behind one small interface."""

from mesh.storage._base import Row, Statement, Store, Transaction

__all__ = ["Row", "Statement", "Store", "Transaction"]

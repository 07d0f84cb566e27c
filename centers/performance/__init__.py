"""The performance centre: results, and a ledger of credits that sums to them, to the fen."""

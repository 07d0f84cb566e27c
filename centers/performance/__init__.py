"""The performance centre 业绩中心: results, and a ledger of credits that sums to them."""

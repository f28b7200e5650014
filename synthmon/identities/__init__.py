"""Who a run pretends to be: invented people in reserved ranges, and leased test accounts."""

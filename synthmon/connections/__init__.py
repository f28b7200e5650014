"""Brokers, databases and mailboxes: one file a kind of connection, found by name."""

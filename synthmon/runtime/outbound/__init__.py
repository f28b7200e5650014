"""The one door out: everything that leaves is guarded, stamped, limited and timed here."""

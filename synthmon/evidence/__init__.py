"""Where that is found what other systems report about a run: one file a kind of source, found by its word."""

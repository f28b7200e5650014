"""One file a kind of step: its keys, its manual, what it sends and what its answer offers."""

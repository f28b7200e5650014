"""How what a run made is taken back: what it meant to do, what it owes, and what is found by its tag alone."""

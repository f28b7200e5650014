"""A small event-driven shop whose faults can be switched on: what a newcomer monitors first."""

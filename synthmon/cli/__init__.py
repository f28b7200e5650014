"""The commands: each reads its arguments, calls one thing, and prints."""

"""The language, by example: what loads, and what is said of what does not."""

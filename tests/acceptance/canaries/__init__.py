"""Forty secrets that must not be seen again, and every surface on which they could be."""

"""Packages that are none of ours, and add kinds of their own."""

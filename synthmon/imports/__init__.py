"""Drafts of probes from what people already have: a curl command, a recording of a browser, a description of an API."""

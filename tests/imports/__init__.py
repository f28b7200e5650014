"""Tests of the rooms that turn curl, HAR and OpenAPI into drafts of probes."""

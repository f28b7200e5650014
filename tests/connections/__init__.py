"""Every kind of connection against a real server."""

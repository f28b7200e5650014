"""What the connections to Amazon Web Services have in common."""

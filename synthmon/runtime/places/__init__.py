"""The places in which a secret may lie, one file a kind."""

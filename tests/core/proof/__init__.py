"""What a proof is made of, as values."""

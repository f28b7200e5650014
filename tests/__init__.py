"""What synthmon promises, tried: one folder for each room of the house."""

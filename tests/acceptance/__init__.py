"""What the whole product promises, measured on a real shop."""

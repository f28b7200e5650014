"""How the tables of history came to be, one revision a file."""

"""The YAML door: text in, journeys or every mistake out."""

"""Sources of evidence against real files, servers and databases."""

"""What synthmon costs and how true its figures are, beside what else there is: `make bench`."""

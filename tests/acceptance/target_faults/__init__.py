"""Every way of being wrong that the shipped journeys have to notice."""

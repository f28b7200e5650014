"""How metrics are told: the page that Prometheus scrapes."""

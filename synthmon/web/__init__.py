"""The pages, the API and the metrics page over HTTP: what a person or a program may ask of the daemon."""

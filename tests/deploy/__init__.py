"""What ships beside the program: rules, dashboards, images, units, and the commands of the Makefile."""

"""`python -m synthmon` is `synthmon`."""

from synthmon.cli.main import main

main()

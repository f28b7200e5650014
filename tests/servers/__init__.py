"""Real servers that a test starts for itself: on a free loopback port, gone when the test is."""

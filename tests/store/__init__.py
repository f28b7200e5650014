"""What is kept, and what survives a crash, a full disk and a rival."""

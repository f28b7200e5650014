"""Whether a journey would notice: which faults could be put into its runs, and what they came to."""

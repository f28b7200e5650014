"""Every await of a run: the one door out, its stamps, the clock, the journal and the reaper."""

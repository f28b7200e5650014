"""What a run promises about events, judged as they are told: in event time, by clocks that may be off."""

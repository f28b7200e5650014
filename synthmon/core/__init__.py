"""What a run means, told without a clock, a loop or a socket."""

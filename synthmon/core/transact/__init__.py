"""What a run means: its steps, listeners, evidence and clean-up, as a conversation of acts and seens."""

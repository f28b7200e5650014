"""Why a run failed: its sequence beside others, who is suspected, what confirms it, and what guards against it."""

"""What a text may hold that commands a terminal, or turns the direction of what stands around it."""

from __future__ import annotations

import re

COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""C0 but for tab and line feed, DEL, C1, the line separators, and what changes directions (UAX #9)."""

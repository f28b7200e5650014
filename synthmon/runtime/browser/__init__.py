"""The browser of `browser` steps: one Chromium, and the proxy that is its only way out."""

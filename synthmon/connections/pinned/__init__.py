"""Clients of libraries, made to dial only what was looked at; each imports its library, so it is imported on use."""

"""Where records and intents are kept: in memory, in SQLite, in PostgreSQL."""

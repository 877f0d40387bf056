"""Drills: a failure made on purpose, and what the users of the application notice of it."""

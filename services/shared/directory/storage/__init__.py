"""Where a directory is kept: the database, what is remembered of it, and the cache that tasks share."""

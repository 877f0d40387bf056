"""How a directory is shown and changed: pages, JSON, sessions."""

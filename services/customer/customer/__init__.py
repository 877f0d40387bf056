"""The public, read-only directory."""

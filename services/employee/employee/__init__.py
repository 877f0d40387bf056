"""The administration of the directory."""

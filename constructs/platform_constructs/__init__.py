"""The platform's own constructs, one public construct a file."""

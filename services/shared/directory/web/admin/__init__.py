"""The editors' part of a service: pages and JSON that change the directory."""

"""What the directory services share: settings, database, validation, pages and the JSON API."""

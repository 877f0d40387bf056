"""Makes the database ready for a release: users, schema, rights, sample data.

Runs once before the services start, repeats harmlessly, and never runs twice at the same time.
"""

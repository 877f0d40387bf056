"""The students' records."""

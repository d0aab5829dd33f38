"""What users rely on, seen through HTTP, commands, pages and the database file alone."""

"""The SQLite file: connections, commits, upgrades, backup, and every SQL statement as a named function."""

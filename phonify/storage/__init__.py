"""The SQLite file: connections, commits, upgrades, backup, and all SQL. Each SQL statement is in a named function."""

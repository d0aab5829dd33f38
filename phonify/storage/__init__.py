"""The SQLite file: connections and commits, upgrades, backup, and every SQL statement as a named function."""

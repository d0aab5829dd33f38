"""The command line. Each topic, such as keys or accounts, has its own file."""

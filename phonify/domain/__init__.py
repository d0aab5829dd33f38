"""The rules of Phonify. Transactions begin and end in this package."""

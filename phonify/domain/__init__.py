"""The rules of Phonify, and where transactions begin and end."""

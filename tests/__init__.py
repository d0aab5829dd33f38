"""The tests of Phonify.

Each package of `phonify/` has a folder of the same name. `promises/` tests the behaviour that
users rely on.
"""

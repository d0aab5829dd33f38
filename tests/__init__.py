"""The tests. Folders mirror the packages of `phonify/`; `promises/` holds what users rely on."""

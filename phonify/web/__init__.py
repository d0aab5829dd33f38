"""The web pages of Phonify: the inbox, the settings, the API reference and the guides."""

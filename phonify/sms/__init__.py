"""What a text message consists of: numbers, segments, one-time codes, keywords. Pure functions."""

"""What a text message is: numbers, segments, one-time codes, keywords. Pure functions."""

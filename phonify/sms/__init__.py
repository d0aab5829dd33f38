"""Text messages: numbers, segments, one-time codes, keywords. All functions are pure."""

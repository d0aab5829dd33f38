"""Apps that the webhook lab tries: a correct one, and one for each fault. Each is wrong in one way."""

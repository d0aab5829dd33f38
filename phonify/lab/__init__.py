"""The webhook lab: it does to an app's webhook what providers, networks and attackers do, and judges the answers."""

"""A run's folder told to people."""

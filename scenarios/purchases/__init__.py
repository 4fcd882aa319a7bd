"""Purchases with the names of their products: a stream-table join."""

"""Backends that provision clusters: process (default), docker, external."""

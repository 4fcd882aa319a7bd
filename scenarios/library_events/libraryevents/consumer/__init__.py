"""The consumer service: library events out of Kafka into a database, each exactly once in effect."""

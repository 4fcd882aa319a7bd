"""The producer service: library events over HTTP into Kafka; what is accepted is never lost."""

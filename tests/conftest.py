"""What all tests share."""

from hypothesis import settings

# Hypothesis's own limit of 200 ms an example measures the machine, which may be busy.
settings.register_profile("kafkaos", deadline=None)
settings.load_profile("kafkaos")

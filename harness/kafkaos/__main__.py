"""`python -m kafkaos` is the command `kafkaos`."""

from kafkaos.cli import main

main()

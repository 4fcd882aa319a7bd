"""One file a command. Each is a function that cli.py registers; it returns the exit status."""

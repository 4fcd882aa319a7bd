"""What happened: operations and outcomes, the crash-safe recording, and reading it back as columns."""

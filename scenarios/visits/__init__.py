"""How often each page was visited lately: averages over sliding windows of event time."""

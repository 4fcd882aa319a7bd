"""library-events: a service that takes library events over HTTP, and one that writes them to a database."""

"""Settings of clients that believe a silent broker for seconds only, as in production."""

IMPATIENT = {
    "socket.timeout.ms": 4000,
    "request.timeout.ms": 3000,
    "socket.connection.setup.timeout.ms": 2000,
}
"""librdkafka's own are half a minute and more."""

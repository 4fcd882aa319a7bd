"""One TLS connection as a client makes it, to see whether both sides take each other."""

from __future__ import annotations

import socket
import ssl

from kafkaos.tls.material import ClientTls

ALERT_WITHIN_S = 1.0
"""With TLS 1.3 a client believes that it is connected before the server has looked at its certificate."""


def client_context(client: ClientTls) -> ssl.SSLContext:
    """What this client shows, and whom it trusts."""
    context = ssl.create_default_context(cafile=str(client.ca_pem))
    context.load_cert_chain(client.certificate_pem, client.key_pem)
    return context


def refusal(client: ClientTls, host: str, port: int, *, timeout_s: float = 5.0) -> str | None:
    """Why this client and the server do not come together, in OpenSSL's words; None if they do.

    Raises OSError where nobody answers at all.
    """
    context = client_context(client)
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as secure:
                secure.settimeout(ALERT_WITHIN_S)
                secure.recv(1)  # a broker speaks only when it is asked
        except TimeoutError:
            return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError as error:
            return str(error.reason or error)
    return None

"""What clients of a cluster log in with: its TLS files, and users where it has SASL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from kafkaos.backends import scram
from kafkaos.backends.observed import ASK_TIMEOUT_S, Observed
from kafkaos.backends.ready import wait_until
from kafkaos.backends.topics import OBSERVE_EVERY_S
from kafkaos.errors import WrongUse

OWN_CLIENT = "client"
KNOWN_DEADLINE_S = 90.0


class Users(Observed):
    """A cluster's clients by name."""

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, str] = {}
        self._iterations = scram.ITERATIONS

    @property
    @abstractmethod
    def bootstrap(self) -> str: ...

    def client_config(self, client: str = "client") -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap, **self._security(client, java=False)}

    def java_config(self, client: str = "client") -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap, **self._security(client, java=True)}

    def _security(self, client: str, *, java: bool) -> dict[str, str]:
        if self._tls is None:
            return {"security.protocol": "PLAINTEXT"}
        if self.spec.sasl is None:
            files = self._tls.client(client)
            return files.java_properties() if java else files.librdkafka()
        if client not in self._users:
            raise WrongUse(f"cluster {self.spec.name} has no user {client}: make it by set_password")
        files = self._tls.client(OWN_CLIENT)
        if java:
            return {
                **files.java_properties(),
                **scram.java_properties(self.spec.sasl, client, self._users[client]),
            }
        return {
            **files.librdkafka(),
            **scram.librdkafka_properties(self.spec.sasl, client, self._users[client]),
        }

    def set_password(self, user: str, password: str) -> None:
        """Make a user of a SASL cluster, or change its password, and wait until every living broker knows it."""
        if self.spec.sasl is None:
            raise WrongUse(
                f"cluster {self.spec.name} knows no users: take one with `sasl`, such as single-scram"
            )
        self._iterations += 1
        self._make_user(user, password, lambda: None)
        self._users[user] = password

    def _make_user(self, user: str, password: str, still_possible: Callable[[], None]) -> None:
        mechanism = self.spec.sasl
        assert mechanism is not None
        iterations = self._iterations

        def known() -> bool:
            still_possible()
            knowing = self._ask_all(
                lambda node: scram.knows(
                    self.direct_address(node.id), mechanism, user, iterations,
                    timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls,
                )
            )  # fmt: skip
            if knowing and not any(knowing.values()):
                self._ask_all(
                    lambda node: scram.set_password(
                        self.direct_address(node.id), mechanism, user, password, iterations,
                        timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls,
                    )
                )  # fmt: skip
            return len(knowing) == len([b for b in self.brokers if b.id in self.alive()]) and all(
                knowing.values()
            )

        wait_until(
            known, interval_s=OBSERVE_EVERY_S, timeout_s=KNOWN_DEADLINE_S, what=f"every broker knows {user}"
        )

    def _own_config(self) -> dict[str, str]:
        """As a client's, but where the brokers' certificates are bad on purpose they are taken nevertheless.

        The harness must see such a cluster, to know that it is there and healthy; every client must refuse it.
        """
        unchecked = {
            "enable.ssl.certificate.verification": "false",
            "ssl.endpoint.identification.algorithm": "none",
        }
        bad = self._tls is not None and not self._tls.profile.healthy
        return {**self.client_config(), **(unchecked if bad else {})}

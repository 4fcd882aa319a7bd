"""The bank's book: what its records say of the balances, and of their sum after each transfer."""

import json
from collections.abc import Iterable

from kafkaos.traffic.bodies import Body

PARTITIONS = 3
ACCOUNTS = 3 * PARTITIONS
OPENING = 100
TOTAL = ACCOUNTS * OPENING
HALVED = 20
"""The transfer in which the first teller is to be killed."""


def _entries(book: Iterable[Body]) -> list[tuple[int, int, int]]:
    """Transfer, account and new balance of each record, in the order of the transfers."""
    values = [(json.loads(record.value or b"{}"), int(record.key or b"")) for record in book]
    return sorted((value["transfer"], account, value["balance"]) for value, account in values)


def balances_of(book: Iterable[Body]) -> dict[int, int]:
    """What each account holds in the end."""
    return {account: balance for _, account, balance in _entries(book)}


def sums(book: Iterable[Body]) -> dict[int, int]:
    """Of each transfer the sum of all accounts in the snapshot right after it: as far as its records are there."""
    balances: dict[int, int] = {}
    found: dict[int, int] = {}
    for transfer, account, balance in _entries(book):
        balances[account] = balance
        found[transfer] = sum(balances.values())
    return found

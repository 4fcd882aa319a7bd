"""The row: one operation of one client, in fixed width, as it lies in a segment file and in the archive.

A send is written when it is *invoked*, with outcome `info`, and completed in place; whatever a `kill -9`
cuts off is therefore `info` (unknown), never a false acknowledgement.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Op(IntEnum):
    """What was done. The archive stores the lower-case name."""

    SEND = 1  # a producer's record
    READ = 2  # a consumer's record, delivered to the application
    PROCESS = 3  # the application finished its work on a record
    COMMIT = 4  # a group's committed offset: the next offset to read
    ASSIGN = 5  # a member was given a partition
    REVOKE = 6  # a member gave up, or lost, a partition
    SEEK = 7  # a position set by the application, not by the group
    BEGIN = 8  # a transaction began
    END = 9  # a transaction ended; outcome ok = committed, fail = aborted
    FINAL = 10  # a record found in the log by the final reader, after everything was healed
    LOG_START = 11  # final truth: first offset of a partition
    LOG_END = 12  # final truth: high watermark of a partition
    REACHED = 13  # final truth: the position at which the final reader stopped
    INJECT = 14  # a fault began; sequence = the fault's number in events.jsonl
    HEAL = 15  # a fault was undone; sequence as in INJECT
    REPLICA = 16  # a batch in one replica's log directory: first and (as sequence) last offset, hash as value
    REPLICA_END = 17  # where a replica's log ends; outcome ok: in sync, info: not, or not known


class Outcome(IntEnum):
    """How it ended. `fail` is only what was surely never appended; every doubt is `info`."""

    INFO = 0
    OK = 1
    FAIL = 2


FLAG_CORRUPT = 1  # the payload's checksum does not match, or it is not a payload of ours
FLAG_COMMITTED = 2  # the reader's isolation level was read_committed

NULL = -1  # of offset, partition, value, key, sequence, transaction, leader_epoch, generation, completed_ns

ROW = np.dtype(
    [
        ("state", "u1"),  # 0 empty, 1 written: set last, so that a torn row is never read
        ("op", "u1"),
        ("outcome", "u1"),
        ("flags", "u1"),
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("value", "<i8"),  # unique in the run: client number << 40 | sequence
        ("key", "<i8"),
        ("sequence", "<i8"),
        ("transaction", "<i8"),
        ("invoked_ns", "<i8"),
        ("completed_ns", "<i8"),
        ("topic", "<i2"),  # index into the segment's table of names
        ("error", "<i2"),  # Kafka's error code (negative: the client library's own), 0 none
        ("leader_epoch", "<i4"),
        ("generation", "<i4"),
        ("reserved", "<i4"),
    ],
    align=False,
)

"""The record value that the recording clients write: who sent it, its place, and whether it arrived whole.

Layout, little-endian: magic (4 bytes), CRC-32 over all other bytes (4), value id (8), sequence (8),
size (4), then padding that does not compress, so that the size on the wire is the size asked for.

A value id is `client number << 40 | sequence`: unique in a run of fewer than 2**40 records a client. A record of
somebody else's making is named by its content: see `foreign_value`.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kafkaos.errors import WrongUse
from kafkaos.history.rows import NULL

MAGIC = b"kch1"
SIZE_MIN_BYTES = 32
SEQUENCE_BITS = 40

_HEADER = struct.Struct("<4sIqqI")
_BODY = struct.Struct("<qqI")
_BODY_AT = 8  # the checksum covers the magic and everything from here on
_VARIABLE_BYTES = 16  # value id and sequence: all that differs between two payloads of one size

Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def value_id(client_number: int, sequence: int) -> int:
    """The id of a client's record, unique in the run."""
    return client_number << SEQUENCE_BITS | sequence


def foreign_value(key: bytes | None, value: bytes | None) -> int:
    """The id of a record that is no payload of ours: 63 bits of blake2b(key, 0x00, value); null counts as empty.

    Two records of equal content have one id: a scenario that counts them gives each something of its own.
    """
    digest = hashlib.blake2b((key or b"") + b"\0" + (value or b""), digest_size=64).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def is_foreign(payload: bytes | None) -> bool:
    """Whether it does not even claim to be a payload of ours."""
    return payload is None or not payload.startswith(MAGIC)


def encode(value: int, sequence: int, size_bytes: int) -> bytes:
    """A payload of exactly `size_bytes`; raises WrongUse below 32 bytes."""
    tail = _BODY.pack(value, sequence, size_bytes) + _padding(size_bytes)
    return MAGIC + zlib.crc32(tail, zlib.crc32(MAGIC)).to_bytes(4, "little") + tail


def decode(payload: bytes | None) -> tuple[int, int, bool]:
    """Value id, sequence and whether the payload is whole. What is not a payload of ours is (-1, -1, False).

    A broken payload that still has our magic keeps the ids that it claims, as a hint for the witness.
    """
    if payload is None or len(payload) < SIZE_MIN_BYTES or payload[:4] != MAGIC:
        return NULL, NULL, False
    _, checksum, value, sequence, size = _HEADER.unpack_from(payload)
    whole = zlib.crc32(memoryview(payload)[_BODY_AT:], zlib.crc32(MAGIC)) == checksum
    return value, sequence, whole and size == len(payload)


def encode_block(values: Int64, sequences: Int64, size_bytes: int) -> list[bytes]:
    """One payload for each pair, all of one size, with no Python work a record."""
    block = np.empty((len(values), size_bytes), dtype=np.uint8)
    block[:] = np.frombuffer(encode(0, 0, size_bytes), dtype=np.uint8)
    variable = np.stack([values, sequences], axis=1).astype("<i8", copy=False).view(np.uint8)
    block[:, _BODY_AT : _BODY_AT + _VARIABLE_BYTES] = variable
    block[:, 4:8] = _checksums(variable, size_bytes)[:, None].view(np.uint8)
    payloads: list[bytes] = block.view(f"V{size_bytes}").ravel().tolist()
    return payloads


def decode_block(payloads: Sequence[bytes | None]) -> tuple[Int64, Int64, Bools]:
    """`decode` for many: arrays of value ids, sequences and wholeness. Fast where all are of one size."""
    sizes = {-1 if payload is None else len(payload) for payload in payloads}
    size = min(sizes, default=-1)
    if len(sizes) != 1 or size < SIZE_MIN_BYTES:
        return _decode_each(payloads)
    block = np.frombuffer(b"".join(payloads), dtype=np.uint8).reshape(-1, size)  # type: ignore[arg-type]
    variable = np.ascontiguousarray(block[:, _BODY_AT : _BODY_AT + _VARIABLE_BYTES])
    whole: Bools = _checksums(variable, size) == np.ascontiguousarray(block[:, 4:8]).view("<u4").ravel()
    fixed = np.frombuffer(encode(0, 0, size), dtype=np.uint8)
    whole &= (block[:, :4] == fixed[:4]).all(axis=1)
    whole &= (block[:, _BODY_AT + _VARIABLE_BYTES :] == fixed[_BODY_AT + _VARIABLE_BYTES :]).all(axis=1)
    ids = variable.view("<i8")
    values, sequences = ids[:, 0].copy(), ids[:, 1].copy()
    for place in np.flatnonzero(~whole):  # rare: the slow way says what is claimed
        values[place], sequences[place], whole[place] = decode(payloads[int(place)])
    return values, sequences, whole


def _decode_each(payloads: Sequence[bytes | None]) -> tuple[Int64, Int64, Bools]:
    decoded = [decode(payload) for payload in payloads]
    values = np.fromiter((value for value, _, _ in decoded), dtype=np.int64, count=len(decoded))
    sequences = np.fromiter((sequence for _, sequence, _ in decoded), dtype=np.int64, count=len(decoded))
    whole = np.fromiter((ok for _, _, ok in decoded), dtype=np.bool_, count=len(decoded))
    return values, sequences, whole


@lru_cache(maxsize=64)
def _padding(size_bytes: int) -> bytes:
    """Bytes that no codec shortens; the same for each payload of a size, so that reading can compare them."""
    if size_bytes < SIZE_MIN_BYTES:
        raise WrongUse(f"a record of {size_bytes} bytes is too small: ask for {SIZE_MIN_BYTES} bytes or more")
    return hashlib.shake_128(b"kafkaos").digest(size_bytes - _HEADER.size)


@lru_cache(maxsize=64)
def _checksum_table(size_bytes: int) -> tuple[np.uint32, npt.NDArray[np.uint32]]:
    """What each variable byte adds to the checksum: CRC-32 is linear over XOR, so parts simply add up."""
    fixed = bytearray(_BODY.pack(0, 0, size_bytes) + _padding(size_bytes))
    start = zlib.crc32(MAGIC)
    base = zlib.crc32(fixed, start)
    table = np.zeros((_VARIABLE_BYTES, 256), dtype="<u4")
    for place in range(_VARIABLE_BYTES):
        for bit in range(8):
            fixed[place] = 1 << bit
            share = zlib.crc32(fixed, start) ^ base
            table[place, 1 << bit : 2 << bit] = table[place, : 1 << bit] ^ np.uint32(share)
        fixed[place] = 0
    return np.uint32(base), table


def _checksums(variable: npt.NDArray[np.uint8], size_bytes: int) -> npt.NDArray[np.uint32]:
    base, table = _checksum_table(size_bytes)
    total = np.full(len(variable), base, dtype="<u4")
    for place in range(_VARIABLE_BYTES):
        total ^= table[place][variable[:, place]]
    return total

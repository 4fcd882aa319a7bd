"""Payloads: what was encoded is decoded, and no changed byte goes unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkaos.errors import WrongUse
from kafkaos.history.payload import decode, decode_block, encode, encode_block, value_id

IDS = st.integers(0, (1 << 63) - 1)
SIZES = st.integers(32, 300)


@given(value=IDS, sequence=IDS, size=SIZES)
def test_a_payload_has_its_size_and_its_ids(value: int, sequence: int, size: int) -> None:
    """Encoding and decoding are inverse, at every size from 32 bytes."""
    payload = encode(value, sequence, size)
    assert len(payload) == size
    assert decode(payload) == (value, sequence, True)


@given(data=st.data(), size=SIZES)
def test_any_flipped_bit_is_seen(data: st.DataObject, size: int) -> None:
    """The checksum covers every byte, padding and size included."""
    payload = bytearray(encode(5, 6, size))
    place = data.draw(st.integers(0, size - 1))
    payload[place] ^= 1 << data.draw(st.integers(0, 7))
    assert not decode(bytes(payload))[2]
    whole = encode(7, 8, size)
    values, _, ok = decode_block([bytes(payload), whole])
    assert ok.tolist() == [False, True]
    assert values[1] == 7


@pytest.mark.parametrize(
    "payload", [None, b"", b"x" * 31, b"x" * 100, encode(1, 2, 64)[:-1], encode(1, 2, 64) + b"x"]
)
def test_what_is_not_a_whole_payload_is_not_ok(payload: bytes | None) -> None:
    """Tombstones, foreign bytes and cut or grown payloads are not whole."""
    assert not decode(payload)[2]
    assert decode_block([payload])[2].tolist() == [False]


@given(pairs=st.lists(st.tuples(IDS, IDS), max_size=20), size=SIZES)
def test_a_block_is_the_same_as_one_by_one(pairs: list[tuple[int, int]], size: int) -> None:
    """The fast form writes the same bytes, and reads them alike."""
    values = np.array([value for value, _ in pairs], dtype=np.int64)
    sequences = np.array([sequence for _, sequence in pairs], dtype=np.int64)
    payloads = encode_block(values, sequences, size)
    assert payloads == [encode(value, sequence, size) for value, sequence in pairs]
    found_values, found_sequences, whole = decode_block(payloads)
    assert found_values.tolist() == values.tolist()
    assert found_sequences.tolist() == sequences.tolist()
    assert whole.all()


def test_a_block_of_several_sizes_is_decoded() -> None:
    """Records of different sizes may come in one batch, tombstones among them."""
    values, sequences, whole = decode_block([encode(1, 2, 32), None, encode(3, 4, 50)])
    assert values.tolist() == [1, -1, 3]
    assert sequences.tolist() == [2, -1, 4]
    assert whole.tolist() == [True, False, True]


def test_a_size_below_the_header_is_wrong_use() -> None:
    """The smallest record is 32 bytes."""
    with pytest.raises(WrongUse, match="32 bytes"):
        encode(1, 1, 31)


def test_value_ids_of_clients_do_not_meet() -> None:
    """The client's number is above all its sequences."""
    assert value_id(1, 0) == 1 << 40
    assert value_id(0, (1 << 40) - 1) < value_id(1, 0)

"""What an error proves about a send. `fail` is only what was surely never appended; every doubt stays `info`.

The client library does not tell whether a message may have been persisted, so it must follow from facts:

- An error raised by `produce()` itself: the message never entered the client. Always `fail`.
- An error in a delivery report that only a broker says, and before it appends: proof for the attempt that it
  answers. librdkafka re-sends after NOT_LEADER and its like even with `retries=0`, and such an earlier
  attempt may have been appended. But it never re-sends before `retry.backoff.ms` (less 20 % jitter) has
  passed, so an answer that came sooner than half of that belongs to the first and only attempt.
- Anything else: `info`.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from kafkaos.history.rows import Outcome

RETRY_BACKOFF_MS: Final = 100  # librdkafka's default of retry.backoff.ms
_MARGIN: Final = 0.5

# Rejections that happen before anything is appended, each with the reason why.
BEFORE_APPEND: Final[dict[int, str]] = {
    KafkaError.NOT_ENOUGH_REPLICAS: "the leader compares the ISR with min.insync.replicas before it appends",
    KafkaError.MSG_SIZE_TOO_LARGE: "the leader checks max.message.bytes before it appends",
    KafkaError.RECORD_LIST_TOO_LARGE: "the leader checks the batch against segment.bytes before it appends",
    KafkaError.INVALID_MSG: "the leader validates the batch's checksum and fields before it appends",
    KafkaError.INVALID_RECORD: "the leader validates records (compacted topics want keys) before it appends",
    KafkaError.INVALID_TIMESTAMP: "the leader checks the time stamps before it appends",
    KafkaError.INVALID_REQUIRED_ACKS: "the broker checks acks before it looks at the records",
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: "the leader checks the format before it appends",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: "the leader checks the codec before it appends",
    KafkaError.POLICY_VIOLATION: "a policy is asked before anything is appended",
    KafkaError.INVALID_PRODUCER_EPOCH: "the leader compares the producer's epoch before it appends",
    KafkaError.UNKNOWN_PRODUCER_ID: "the leader looks up the producer's state before it appends",
}

# Errors that look definite and are not: kept here so that nobody adds them above.
IN_DOUBT: Final[dict[int, str]] = {
    KafkaError._MSG_TIMED_OUT: "it may have timed out in flight, after it was appended",
    KafkaError._TIMED_OUT: "the request may have been carried out, only its answer is missing",
    KafkaError._TRANSPORT: "the connection was lost, perhaps after the request arrived",
    KafkaError._PURGE_INFLIGHT: "it was on its way to the broker",
    KafkaError._PURGE_QUEUE: "it may lie in the queue again after a first attempt",
    KafkaError._UNKNOWN_TOPIC: "said of queued messages as well that wait for their second attempt",
    KafkaError._UNKNOWN_PARTITION: "said of queued messages as well that wait for their second attempt",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the client says it by itself too, of messages to be sent again",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the client says it by itself too, of messages to be sent again",
    KafkaError._DESTROY: "the client ended with the message in flight",
    KafkaError._FATAL: "purged after a fatal error; an earlier attempt may have been appended",
    KafkaError.REQUEST_TIMED_OUT: "the leader appended it and waited for its followers in vain",
    KafkaError.NOT_LEADER_FOR_PARTITION: "also the answer of a leader that was replaced after it appended",
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: "says itself that it was appended",
    KafkaError.FENCED_LEADER_EPOCH: "the leader may have changed after it appended",
    KafkaError.KAFKA_STORAGE_ERROR: "the log failed while it was written; part of it may be on disk",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "also seen when the partition moved away after the append",
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER: "says that state was lost, not what was appended",
    KafkaError.DUPLICATE_SEQUENCE_NUMBER: "an earlier attempt was appended",
    KafkaError.UNKNOWN: "the broker failed somewhere, perhaps after it appended",
}


def of_local_error() -> Outcome:
    """`produce()` raised: the message never entered the client."""
    return Outcome.FAIL


def of_delivery_error(code: int, *, latency_s: float | None, retry_backoff_ms: float) -> Outcome:
    """What a delivery report's error proves; `latency_s` is the time since `produce()`, None if not known."""
    if code not in BEFORE_APPEND or latency_s is None or latency_s < 0:
        return Outcome.INFO
    only_attempt = latency_s * 1_000 < retry_backoff_ms * _MARGIN
    return Outcome.FAIL if only_attempt else Outcome.INFO


def of_acknowledgement(acks: str) -> Outcome:
    """A delivery report with no error. With acks=0 it tells what went to the socket: no proof."""
    return Outcome.INFO if acks == "0" else Outcome.OK

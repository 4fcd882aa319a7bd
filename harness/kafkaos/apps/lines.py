"""The lines that an application may speak on stdout: one JSON object a line, in Kafka's verifiable-client words.

Kafka's own VerifiableProducer and VerifiableConsumer print them. Where they have no word, `send`, `process`, `seek`,
`begin` and `end` are ours, in the same style. A line with another `name` is an event of the application's own: kept,
and waited for by `wait_event`, but no row of the recording.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kafkaos.errors import BrokenRecording

_GARBLED: Final = "kch1"  # a payload of ours, printed as text: its bytes cannot be told from that


class _Line(BaseModel):
    """`timestamp` is ms since the epoch; `transaction` and `generation` are told by those who know them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    timestamp: Annotated[float, Field(ge=0)]
    transaction: int | None = None
    generation: int | None = None


class Content(BaseModel):
    """Key and value as text; neither told is not the same as both null.

    `about` is a number for what the record is about where its key is not that: the `key` of its row, by which
    `key_order` judges.
    """

    key: str | None = None
    value: str | None = None
    about: Annotated[int, Field(ge=0)] | None = None

    @property
    def is_told(self) -> bool:
        return bool(self.model_fields_set & {"key", "value"}) and not (self.value or "").startswith(_GARBLED)


class Place(BaseModel):
    """A partition, and an offset in it where one is known."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)] | None = None


class Summary(Place):
    """What was consumed of one partition at a time: `count` records from `minOffset` to `maxOffset`."""

    count: Annotated[int, Field(ge=0)]
    min_offset: Annotated[int, Field(alias="minOffset")]
    max_offset: Annotated[int, Field(alias="maxOffset")]


class Record(_Line, Content):
    """A record at its place."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


class Send(_Line, Content):
    """Ours: the record is about to be handed to the client library."""

    name: Literal["send"]
    topic: str
    partition: int | None = None


class SendSuccess(_Line, Content):
    """The record was acknowledged; offset -1 is what Java says with acks=0, which proves nothing."""

    name: Literal["producer_send_success"]
    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=-1)]


class SendError(_Line, Content):
    name: Literal["producer_send_error"]
    topic: str
    exception: str = ""
    message: str | None = None


class RecordData(Record):
    """A record was delivered (VerifiableConsumer --verbose)."""

    name: Literal["record_data"]


class RecordsConsumed(_Line):
    """Records were delivered and the work on them is done: VerifiableConsumer commits right after it."""

    name: Literal["records_consumed"]
    count: int
    partitions: tuple[Summary, ...]


class Process(Record):
    """Ours: the work on a delivered record is done."""

    name: Literal["process"]


class Rebalance(_Line):
    name: Literal["partitions_assigned", "partitions_revoked"]
    partitions: tuple[Place, ...]


class Committed(_Line):
    """The answer to an offset commit; `error` where `success` is false."""

    name: Literal["offsets_committed"]
    offsets: tuple[Place, ...]
    success: bool
    error: str | None = None


class Seek(_Line):
    """Ours: the application set its position itself."""

    name: Literal["seek"]
    topic: str
    partition: int
    offset: int | None = None


class Begin(_Line):
    """Ours: a transaction began. Its number is unique in the incarnation."""

    name: Literal["begin"]
    transaction: int


class End(_Line):
    """Ours: a transaction ended; unknown where neither commit nor abort was confirmed."""

    name: Literal["end"]
    transaction: int
    outcome: Literal["committed", "aborted", "unknown"]


class Mark(_Line):
    """Lines that say how far the application is; no rows."""

    name: Literal["startup_complete", "shutdown_complete"]


Line = (
    Send | SendSuccess | SendError | RecordData | RecordsConsumed | Process | Rebalance | Committed | Seek | Begin
    | End | Mark
)  # fmt: skip
_LINE: Final[TypeAdapter[Line]] = TypeAdapter(Annotated[Line, Field(discriminator="name")])
KNOWN: Final = frozenset(
    {
        "send", "producer_send_success", "producer_send_error", "record_data", "records_consumed", "process",
        "partitions_assigned", "partitions_revoked", "offsets_committed", "seek", "begin", "end", "startup_complete",
        "shutdown_complete",
    }
)  # fmt: skip


def as_object(text: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None for plain text. ValueError for what begins like an object and is none."""
    if not text.lstrip().startswith(b"{"):
        return None
    found = json.loads(text)
    return found if isinstance(found, dict) else None


def as_line(given: dict[str, Any], *, where: str) -> Line | None:
    """The known line that an object is; None for an event of the application's own.

    Raises BrokenRecording naming `where` and the field if a known name has wrong fields.
    """
    if given.get("name") not in KNOWN:
        return None
    try:
        return _LINE.validate_python(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = ".".join(map(str, wrong["loc"][1:])) or "the line"
        raise BrokenRecording(
            f"{where} is a {given['name']} line with wrong fields ({field}: {wrong['msg']}): "
            f"{json.dumps(given)[:300]}; print it as docs/applications.md says, or under a name of your own"
        ) from None

"""Reads `visits`, writes `visits_30s`, `visits_1mn` and `visits_5mn`: `python -m visits.app`.

For each url the average number of visits a second over the last 30 s, 1 min and 5 min, by event time, sent at every
update: a visit that comes late corrects the averages of the later visits that have it in their window.
"""

from datetime import datetime
from typing import Any

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame

from streaming.application import application, run
from streaming.lines import say
from streaming.settings import Settings

VISITS = "visits"
LENGTHS_S = {"visits_30s": 30, "visits_1mn": 60, "visits_5mn": 300}
GRACE_MS = 60_000
"""How much older than the newest visit of its url a visit may be."""


def event_time_ms(visit: dict[str, Any], *_: Any) -> int:
    """ISO 8601 to ms since the epoch, microseconds cut off."""
    moment = datetime.fromisoformat(visit["timestamp"].replace("Z", "+00:00"))
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def is_in_time(visit: dict[str, Any], state: State) -> bool:
    """Whether a visit counts. One that is too late counts in no window, and is told."""
    at_ms, newest_ms = event_time_ms(visit), state.get("newest_ms", 0)
    if at_ms > newest_ms:
        state.set("newest_ms", at_ms)
    if at_ms >= newest_ms - GRACE_MS:
        return True
    say("late_visit", id=visit["id"], url=visit["url"], late_ms=newest_ms - at_ms)
    return False


def averages(visits: StreamingDataFrame, length_s: int) -> StreamingDataFrame:
    """At each update of a window (end - length, end], both ends included: the visits in it, and a second."""
    length_ms = length_s * 1000
    # quixstreams 3.28 forgets windows older than its grace; a visit near the edge would then begin from 0 although
    # earlier visits are in its window. So its grace is a length longer than ours.
    windows = visits.sliding_window(length_ms, grace_ms=GRACE_MS + length_ms).count().current()

    def told(window: dict[str, Any], url: str, *_: Any) -> dict[str, Any]:
        count = window["value"]
        return {"url": url, "until_ms": window["end"], "visits": count, "average": count / length_s}

    return windows.apply(told, metadata=True)


def topology(app: Application) -> None:
    visits = app.dataframe(app.topic(VISITS, key_deserializer="str", timestamp_extractor=event_time_ms))
    in_time = visits.filter(is_in_time, stateful=True)
    for name, length_s in LENGTHS_S.items():
        averages(in_time, length_s).to_topic(app.topic(name, key_serializer="str"))


def main() -> None:
    app = application(Settings.of(group="visits"))
    topology(app)
    run(app)


if __name__ == "__main__":
    main()

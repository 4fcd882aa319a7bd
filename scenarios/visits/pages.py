"""The visits scenarios' words: the topics, some visits, and what the model makes of them."""

import json
from datetime import UTC, datetime, timedelta

from streaming.world import Sent
from visits.model import Visit, averages

VISITS = "visits"
LENGTHS_S = {"visits_30s": 30, "visits_1mn": 60, "visits_5mn": 300}
OUTPUTS = tuple(LENGTHS_S)
STORES = ("default", *(f"sliding_window_{length_s * 1000}_count" for length_s in LENGTHS_S.values()))
BEGIN = datetime.fromisoformat("2019-03-02T09:21:05.305622+00:00")
URLS = ["/store/tech/tv", "/store/tech/phone", "/home"]


def create_topics(cluster, *, partitions=3):
    cluster.create_topic(VISITS, partitions=partitions)
    for name in OUTPUTS:
        # Outputs carry the time of their event, here of 2019: by their own times they would be old enough to delete.
        cluster.create_topic(name, partitions=partitions, config={"message.timestamp.type": "LogAppendTime"})


def visit(number, url, after_s):
    at = (BEGIN + timedelta(seconds=after_s)).isoformat().replace("+00:00", "Z")
    value = {"id": f"{number:032x}", "sourceIp": "42.42.183.75", "url": url, "timestamp": at}
    return Sent(value, key=url)


def some_visits(rng, count, *, late=True):
    """Visits one after another, some out of order within the grace, a few later than that."""
    found, now_s = [], 0.0
    for number in range(count):
        now_s += rng.choice([0, 0.4, 3, 9, 31])
        back_s = rng.choice([0, 0, 0, 5, 45, 59.9, *([75, 400] if late else [])])
        found.append(visit(number, rng.choice(URLS), max(now_s - back_s, 0)))
    return found


def start(world):
    stores = [(VISITS, store) for store in STORES]
    return world.application("visits.app", name="visits", reads=(VISITS,), writes=OUTPUTS, stores=stores)


def in_log(chaos):
    """The visits in the order of their log; each url is in one partition."""
    values = [json.loads(body.value) for body in chaos.bodies(VISITS)]
    return [Visit(value["url"], event_time_ms(value["timestamp"])) for value in values]


def event_time_ms(text):
    since = datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def expect_of_the_log(chaos):
    visits = in_log(chaos)
    for topic, length_s in LENGTHS_S.items():
        chaos.expect(topic, averages(visits, length_s))
    return len(visits)

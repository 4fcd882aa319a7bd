"""What a healthy stream application read and made, with equal records among them: ground for mutations."""

from __future__ import annotations

import numpy as np
import polars as pl

from kafkaos.history.bodies import BODY_SCHEMA, MODEL_SCHEMA, Tables, canonical

INPUT, OUTPUT = "input", "output"
_PARTITIONS = 3


def bodies(*, records: int = 120, seed: int = 0) -> Tables:
    """`records` inputs, some equal, and one output of each, in another order and other partitions."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, records * 3 // 4, records).tolist()
    order = rng.permutation(records).tolist()
    return {INPUT: _topic(ids, rng), OUTPUT: _topic([ids[at] for at in order], rng)}


def models(*, seed: int = 0) -> Tables:
    """What the model says of the output: the records of `bodies`, sorted."""
    found = bodies(seed=seed)[OUTPUT].select(*MODEL_SCHEMA)
    return {OUTPUT: found.sort("key", "value")}


def _topic(ids: list[int], rng: np.random.Generator) -> pl.DataFrame:
    table = pl.DataFrame(
        {
            "partition": rng.integers(0, _PARTITIONS, len(ids)),
            "key": [str(one) for one in ids],
            "value": [canonical({"id": one, "price": one / 4}) for one in ids],
        }
    ).with_columns(offset=pl.int_range(pl.len()).over("partition"))
    return table.select(pl.col(name).cast(kind) for name, kind in BODY_SCHEMA.items())

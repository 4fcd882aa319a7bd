"""The rounds of nightly chaos: which scenarios come next, with which seed; kept from night to night."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafkaos.commands.scenarios import MAIN_JOB
from kafkaos.errors import BrokenRecording

STATE_FILE, ROUNDS = "nightly.json", "rounds"
OF_A_ROUND = ("number", "seed", "folder", "scenarios", "options", "complete")


@dataclass
class State:
    """The seed of the seeds, the rounds so far, and the scenarios that the rotation has still to come to."""

    path: Path
    base: int
    rounds: list[dict[str, Any]]
    left: list[str] = field(default_factory=list)
    _new_night: bool = True

    @classmethod
    def load(cls, out: Path, seed: int | None) -> State:
        """The stored one, else a new one. A seed that is given starts a new row of seeds."""
        path = out / STATE_FILE
        if not path.exists():
            return cls(path, secrets.randbelow(2**31) if seed is None else seed, [])
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            rounds = [{key: item[key] for key in OF_A_ROUND} for item in given["rounds"]]
            state = cls(path, int(given["base"]), rounds, [str(name) for name in given["left"]])
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenRecording(f"{path} is broken ({error!r}): delete it to begin anew") from None
        if seed is not None and seed != state.base:
            state.base = seed
            for item in state.rounds:
                item["complete"] = True  # of another row: not gone on with
        return state

    def save(self) -> None:
        """Atomically, so that a killed night is resumed from a whole file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")
        told = {"base": self.base, "left": self.left, "rounds": self.rounds}
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.path)

    def next_round(
        self, rotation: Sequence[str], options: Sequence[str], *, main_job: bool = False
    ) -> dict[str, Any]:
        """The round that was interrupted, if it was of the same kind, else a new one with the next seed.

        With `main_job` every night begins with it, and then it and the rotation's scenarios take turns: so every
        report has something to compare with the night before, however short the nights are.
        """
        last = self.rounds[-1] if self.rounds else None
        allowed = {*rotation, *([MAIN_JOB] if main_job else [])}
        resumed = (
            last is not None
            and not last["complete"]
            and last["options"] == list(options)
            and allowed.issuperset(last["scenarios"])
        )
        if resumed and last is not None:
            self._new_night = False
            return last
        its_turn = main_job and (self._new_night or last is None or last["scenarios"] != [MAIN_JOB])
        self._new_night = False
        number = len(self.rounds) + 1
        seed = random.Random(f"{self.base}:{number}").randrange(2**31)
        wanted = [name for name in self.left if name in allowed] or list(rotation)
        self.rounds.append(
            {
                "number": number, "seed": seed, "folder": f"{ROUNDS}/{number:04}-{seed}",
                "scenarios": [MAIN_JOB] if its_turn else wanted, "options": list(options), "complete": False,
            }
        )  # fmt: skip
        return self.rounds[-1]

    def finish(self, one: dict[str, Any], left: Sequence[str]) -> None:
        """The round is over; `left` of its scenarios had no time, and come next."""
        one["complete"] = True
        if one["scenarios"] != [MAIN_JOB]:
            self.left = list(left)

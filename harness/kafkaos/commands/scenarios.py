"""The shipped scenarios, read from their source: their names, what they verify, and where they are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaos.errors import WrongUse
from kafkaos.shipped import near, shipped

MAIN_JOB = "main_job"


@dataclass(frozen=True)
class Scenario:
    """One test. `rows` are the rows of the catalogue of systems that it verifies, `file` relative to the scenarios.

    It runs on `clusters`; on another one that is asked for it needs so many `brokers`, or is skipped for the reason
    `only`.
    """

    name: str
    file: Path
    title: str
    rows: tuple[str, ...]
    clusters: tuple[str, ...]
    brokers: int = 1
    only: str | None = None

    @property
    def names(self) -> set[str]:
        """By which a person may ask for it: folder, file, test, row."""
        parents = {str(parent) for parent in self.file.parents} - {"."}
        stem = self.file.with_suffix("")
        short = stem.with_name(stem.name.removeprefix("test_"))
        return {*parents, str(self.file), str(stem), str(short), self.name, f"test_{self.name}", *self.rows}


def scenarios() -> list[Scenario]:
    """All of them, in the order of files and lines."""
    root = shipped("scenarios")
    return [s for path in sorted(root.rglob("test_*.py")) for s in _of_file(path, path.relative_to(root))]


def choose(names: list[str]) -> list[str]:
    """What pytest is to be given for these names; WrongUse for an unknown one, with the near match."""
    known = scenarios()
    root = shipped("scenarios")
    chosen: dict[str, None] = {}
    for name in names:
        found = [s for s in known if name.rstrip("/") in s.names]
        if not found:
            words = sorted(set().union(*(s.names for s in known)))
            # All names would fill the screen: where none is near, the folders tell where to look.
            folders = sorted({s.file.parts[0] for s in known})
            hint = near(name, words, shown=folders)
            raise WrongUse(f"There is no scenario `{name}`{hint} `kafkaos list scenarios` shows all.")
        chosen.update({f"{root / s.file}::test_{s.name}": None for s in found})
    return list(chosen)


def name_of(test: str) -> str:
    """The scenario's name in pytest's id of a test."""
    return test.rpartition("::")[2].partition("[")[0].removeprefix("test_")


def _of_file(path: Path, relative: Path) -> list[Scenario]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            title = (ast.get_docstring(node) or node.name).splitlines()[0]
            rows, _ = _marked(node, "scenario")
            clusters, needs = _marked(node, "kafka_cluster")
            name = node.name.removeprefix("test_")
            found.append(Scenario(name, relative, title, rows, clusters, **needs))
    return found


def _marked(node: ast.FunctionDef, marker: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The arguments of `@pytest.mark.MARKER(…)`, which scenarios write as plain values."""
    for decorator in node.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr == marker
        ):
            named = {str(k.arg): ast.literal_eval(k.value) for k in decorator.keywords}
            return tuple(map(ast.literal_eval, decorator.args)), named
    return (), {}

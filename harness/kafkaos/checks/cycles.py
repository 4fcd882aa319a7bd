"""Circles in a directed graph, by scipy's compressed graphs: linear, and with no Python work an edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Nodes = npt.NDArray[np.int64]
_STARTS_MAX = 8  # nodes of one component from which its shortest circle is sought
_NODES_MAX = 20_000  # of a component in which it is sought at all; the search is linear in its edges


def shortest_cycles(nodes: int, before: Nodes, after: Nodes, *, at_most: int) -> tuple[int, list[list[int]]]:
    """How many nodes lie in circles, and a short circle of each strongly connected component, smallest first.

    An edge leads from `before` to `after`, both numbers below `nodes`; no edge may lead to its own start.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph = csr_array((np.ones(len(before), dtype=np.int32), (before, after)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=True, connection="strong")
    sizes = np.bincount(labels)
    circular = np.flatnonzero(sizes > 1)
    circular = circular[np.argsort(sizes[circular], kind="stable")]
    cycles = [_within(graph, np.flatnonzero(labels == label)) for label in circular[:at_most]]
    return int(sizes[circular].sum()), cycles


def _within(graph: csr_array, members: Nodes) -> list[int]:
    from scipy.sparse.csgraph import shortest_path

    part = graph[members][:, members]
    best: list[int] = []
    starts = range(1 if len(members) > _NODES_MAX else min(len(members), _STARTS_MAX))
    for start in starts:
        distance, previous = shortest_path(part, unweighted=True, indices=start, return_predecessors=True)
        into = part[:, [start]].nonzero()[0]
        last = into[np.argmin(distance[into])]
        path = [int(last)]
        while path[-1] != start:
            path.append(int(previous[path[-1]]))
        if not best or len(path) < len(best):
            best = path[::-1]
    return [int(members[place]) for place in best]

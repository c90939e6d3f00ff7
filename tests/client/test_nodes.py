"""What a client learns from replies about the node that gave them, and that it turns once for all its threads."""

from __future__ import annotations

import pytest
import redis

from sortgate.client.nodes import Nodes
from sortgate.streams.redirect import Node

MOVED = redis.exceptions.MovedError("3999 10.0.0.7:6381")
DOWN = redis.exceptions.ClusterDownError("CLUSTERDOWN The cluster is down")
LOADING = redis.exceptions.BusyLoadingError("loading")
DEMOTED = redis.exceptions.ResponseError("UNBLOCKED force unblock from blocking operation")
OTHER = redis.exceptions.ResponseError("NOGROUP no such key")
AWAY = Node("10.0.0.7", 6381)


def nodes() -> tuple[Nodes[redis.Redis], list[Node | None]]:
    """Nodes to which nothing connects, and which were opened."""
    opened: list[Node | None] = []

    def connect(node: Node | None) -> redis.Redis:
        opened.append(node)
        return redis.Redis()

    return Nodes(connect), opened


@pytest.mark.parametrize(
    ("replies", "again", "follows"),
    [
        ([b"x", MOVED], True, True),
        ([MOVED, DOWN], True, True),
        ([DEMOTED], True, False),
        ([b"x", 3], False, False),
        ([OTHER, "UNBLOCKED", "MOVED 1 a:1"], False, False),  # a text that says so is no error
        ([DOWN], False, False),
        ([LOADING], False, False),
    ],
)
def test_what_replies_say_of_their_node(replies: list[object], again: bool, follows: bool) -> None:
    found, opened = nodes()
    assert found.learn(found.current, replies) is again
    assert opened == ([None, AWAY] if follows else [None])


@pytest.mark.parametrize("error", [DOWN, LOADING])
def test_a_node_that_cannot_help_is_left(error: Exception) -> None:
    found, opened = nodes()
    first = found.current
    found.learn(first, [MOVED])
    away = found.current
    assert away is not first
    assert found.learn(away, [error]) is False
    assert found.current is first, "opened once"
    assert opened == [None, AWAY]
    assert found.opened() == [first, away]


def test_a_late_thread_does_not_turn_back_what_another_has_turned() -> None:
    found, _ = nodes()
    first = found.current
    found.turn(first, AWAY)
    away = found.current
    found.turn(first)  # its connection broke as well
    found.learn(first, [redis.exceptions.MovedError("3999 10.0.0.9:1")])
    assert found.current is away

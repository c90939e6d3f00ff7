"""Where a cluster sends a queue's connections; real clusters are in tests/integration/test_cluster.py."""

from __future__ import annotations

import hiredis
import pytest
import redis

from sortgate.errors import BrokerError
from sortgate.streams.redirect import Node, Route, node_of, point
from sortgate.worker.link import LinkLost


@pytest.mark.parametrize(
    ("error", "node"),
    [
        (redis.exceptions.MovedError("3999 127.0.0.1:6381"), Node("127.0.0.1", 6381)),
        (redis.exceptions.MovedError("3999 ::1:6381"), Node("::1", 6381)),
        (hiredis.ReplyError("MOVED 3999 10.0.0.7:6381"), Node("10.0.0.7", 6381)),
        (LinkLost("MOVED 3999 :6381"), Node("", 6381)),  # the host that was asked
        (BrokerError("MOVED 3999 node-3.example.org:6381"), Node("node-3.example.org", 6381)),
        (redis.exceptions.AskError("3999 127.0.0.1:6381"), None),  # for one command only: not to be followed
        (hiredis.ReplyError("ASK 3999 127.0.0.1:6381"), None),
        (hiredis.ReplyError("CLUSTERDOWN The cluster is down"), None),
        (b"MOVED 3999 127.0.0.1:6381", None),  # a text that says so is no error
        ("MOVED 3999 127.0.0.1:6381", None),
    ],
)
def test_only_moved_errors_point_to_a_node(error: object, node: Node | None) -> None:
    assert node_of(error) == node


def test_a_node_without_a_host_is_another_port_of_the_same() -> None:
    options = {"host": "redis.example.org", "port": 6379}
    point(options, Node("", 6381))
    assert options == {"host": "redis.example.org", "port": 6381}
    point(options, Node("10.0.0.7", 6382))
    assert options == {"host": "10.0.0.7", "port": 6382}


def test_the_last_two_nodes_are_tried_in_turn() -> None:
    route = Route()
    route.leave()
    assert route.node is None, "a plain Redis has no other"
    route.follow(Node("a", 1))
    route.follow(Node("", 2))
    assert route.node == Node("a", 2)
    seen = []
    for _ in range(4):
        route.leave()
        seen.append(route.node)
    assert seen == [None, Node("a", 2)] * 2


def test_a_socket_s_url_is_none_of_a_cluster() -> None:
    with pytest.raises(BrokerError, match="give a node's redis:// URL"):
        point({"path": "/run/redis.sock"}, Node("10.0.0.7", 6382))

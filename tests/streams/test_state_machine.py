"""Whatever producers, workers and operators do, in any order: every accepted text gets one visible result.

A model of dictionaries does what the Lua scripts are said to do; after each step Redis must look like it. Workers are
names that send the commands of a worker: their replies may be lost, their leases may run out while they go on, and
they may vanish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import redis as redis_py
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from scripts import STREAMS, Q, claim, commit, recover
from sortgate import keys
from sortgate.streams.scripts import run_script

WORKERS = st.sampled_from(["w1", "w2"])
SELDOM = st.integers(0, 5)
STREAM_NUMBERS = st.sampled_from([1, 2, 3])
Key = tuple[int, str]


@dataclass
class Text:
    """An accepted text: its id, whether it is de-duplicated, who has it (None: nobody yet), how often delivered."""

    ident: str
    dedupe: bool
    owner: str | None = None
    deliveries: int = 0
    deleted: bool = False


@dataclass
class Model:
    """What must be in Redis."""

    texts: dict[Key, Text] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    results: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)


class Queue(RuleBasedStateMachine):
    """The machine; ``redis`` is set before it runs."""

    redis: redis_py.Redis

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushall()
        self.model = Model()
        self.hands: dict[str, dict[Key, str]] = {}
        self.born = 0
        self.names: dict[str, str] = {}

    def consumer(self, worker: str) -> str:
        """Return the name that a worker goes by; one that vanished comes back under another."""
        return self.names.setdefault(worker, f"{worker}-0")

    def hand(self, worker: str) -> dict[Key, str]:
        return self.hands.setdefault(self.consumer(worker), {})

    @rule(number=STREAM_NUMBERS, count=st.integers(1, 4), raw=st.booleans())
    def submit(self, number: int, count: int, raw: bool) -> None:
        """New texts, by a client's script or by plain commands."""
        idents = [f"t{self.born + at}" for at in range(count)]
        self.born += count
        self._submit(number, idents, raw)

    @rule(number=STREAM_NUMBERS, data=st.data())
    @precondition(lambda self: self.born)
    def submit_again(self, number: int, data: st.DataObject) -> None:
        """A producer that does not know whether its text got through sends it once more."""
        self._submit(number, [f"t{data.draw(st.integers(0, self.born - 1))}"], raw=False)

    def _submit(self, number: int, idents: list[str], raw: bool) -> None:
        stream = STREAMS[number - 1]
        if raw:
            entries = [self.redis.xadd(stream, {"v": "1", "id": ident, "text": "t"}) for ident in idents]
        else:
            before = {entry for entry, _ in self.redis.xrange(stream)}
            items = msgspec.msgpack.encode([(ident, "t") for ident in idents])
            reply = run_script(self.redis, "enqueue", [stream], 1000, "", msgspec.msgpack.encode(["v", "1"]), items, 0)
            assert reply[0] == len(idents)
            entries = [entry for entry, _ in self.redis.xrange(stream) if entry not in before]
        for entry, ident in zip(entries, idents, strict=True):
            self.model.texts[number, str(entry)] = Text(ident, dedupe=True)

    @rule(worker=WORKERS, room=st.integers(1, 5), lost=st.booleans())
    @precondition(lambda self: any(text.owner is None for text in self.model.texts.values()))
    def read(self, worker: str, room: int, lost: bool) -> None:
        """A worker reads; where the reply is lost, Redis has delivered all the same."""
        for number, stream in enumerate(STREAMS, 1):
            run_script(self.redis, "group", [stream], keys.GROUP)
            self.redis.xreadgroup(keys.GROUP, self.consumer(worker), {stream: ">"}, count=room)
            waiting = [key for key, text in self.model.texts.items() if key[0] == number and text.owner is None]
            for key in waiting[:room]:
                text = self.model.texts[key]
                text.owner, text.deliveries = self.consumer(worker), 1
                if not lost:
                    self.hand(worker)[key] = text.ident

    @rule(worker=WORKERS)
    @precondition(lambda self: self.model.texts)
    def recover(self, worker: str) -> None:
        """A worker whose link was mended asks for what it was given."""
        hand = self.hand(worker)
        in_hand = [[entry for number, entry in hand if number == stream] for stream in (1, 2, 3)]
        found = recover(self.redis, self.consumer(worker), in_hand)
        owed = {
            key: text
            for key, text in self.model.texts.items()
            if text.owner == self.consumer(worker) and key not in hand
        }
        assert {(number, entry): count for number, entry, count, _ in found} == {
            key: text.deliveries for key, text in owed.items() if not text.deleted
        }
        for key, text in owed.items():
            if text.deleted:
                del self.model.texts[key]
            else:
                hand[key] = text.ident

    @rule(worker=WORKERS)
    @precondition(lambda self: self.model.texts)
    def take_over(self, worker: str) -> None:
        """All leases have run out, and a worker sweeps; those who had the texts may go on with them.

        What is its own, a worker does not take over: it has it, or asks for it when its link is mended.
        """
        mine = self.consumer(worker)
        found = claim(self.redis, mine, 0)
        for key, text in list(self.model.texts.items()):
            if text.owner is not None and text.deleted:
                del self.model.texts[key]
        taken = {key: text for key, text in self.model.texts.items() if text.owner not in (None, mine)}
        assert {(number, entry): count for number, entry, count, _ in found} == {
            key: text.deliveries + 1 for key, text in taken.items()
        }
        for key, text in taken.items():
            text.owner, text.deliveries = mine, text.deliveries + 1
            self.hand(worker)[key] = text.ident

    @precondition(lambda self: any(self.hands.values()))
    @rule(worker=WORKERS, data=st.data(), status=st.sampled_from(["ok", "ok", "error", "dead"]), again=st.booleans())
    def commit(self, worker: str, data: st.DataObject, status: str, again: bool) -> None:
        """A worker answers some of what it has, and once more where it does not know whether that got through."""
        hand = self.hand(worker)
        if not hand:
            return
        chosen = data.draw(st.lists(st.sampled_from(sorted(hand)), min_size=1, unique=True))
        answers = []
        for number, entry in chosen:
            ident = hand[number, entry]
            known = self.model.texts.get((number, entry))
            dedupe = ident if known is None or known.dedupe else ""
            answers.append((number, entry, dedupe, "", status, ["v", "1", "id", ident, "status", status]))
        expected = [self._answer(key, hand[key], status) for key in chosen]
        reply = commit(self.redis, *answers, remembered=10_000)
        counted = Counter(expected)
        assert reply[:3] == [counted["answered"], counted["suppressed"], counted["duplicate"]]
        if again:
            assert commit(self.redis, *answers, remembered=10_000)[:3] == [0, len(answers), 0]
        for key in chosen:
            del hand[key]

    def _answer(self, key: Key, ident: str, status: str) -> str:
        text = self.model.texts.pop(key, None)
        if text is None:
            return "suppressed"
        if text.dedupe and ident in self.model.seen:
            return "duplicate"
        if text.dedupe:
            self.model.seen.add(ident)
        self.model.results.append(ident)
        if status != "ok":
            self.model.letters.append(ident)
        return "answered"

    @precondition(lambda self: any(self.hands.values()))
    @rule(worker=WORKERS, leave=st.booleans())
    def release(self, worker: str, leave: bool) -> None:
        """A worker stops: what it has, and still owns, is handed back and counts as no delivery."""
        name, hand = self.consumer(worker), self.hand(worker)
        packed = msgspec.msgpack.encode([(number, entry, 0) for number, entry in hand])
        arguments = [keys.GROUP, name, keys.RELEASED, int(leave), packed]
        handed = run_script(self.redis, "release", [*STREAMS, keys.workers(Q)], *arguments)
        mine = [key for key in hand if key in self.model.texts and self.model.texts[key].owner == name]
        assert handed == len(mine)
        for key in mine:
            if self.model.texts[key].deleted and self.vanishes_when_claimed:
                del self.model.texts[key]
            else:
                self.model.texts[key].owner, self.model.texts[key].deliveries = keys.RELEASED, 0
        hand.clear()

    @property
    def vanishes_when_claimed(self) -> bool:
        """From Redis 7 on, claiming a deleted entry takes it off the pending list."""
        return int(str(self.redis.info("server")["redis_version"]).split(".")[0]) >= 7

    @rule(worker=WORKERS, chance=SELDOM)
    def crash(self, worker: str, chance: int) -> None:
        """A worker is killed; another starts under a new name."""
        if chance:
            return
        name = self.consumer(worker)
        self.hands.pop(name, None)
        self.names[worker] = f"{worker}-{int(name.split('-')[1]) + 1}"

    @rule(data=st.data())
    @precondition(lambda self: self.model.texts)
    def delete_by_hand(self, data: st.DataObject) -> None:
        """An operator deletes a request."""
        key = data.draw(st.sampled_from(sorted(self.model.texts)))
        self.redis.xdel(STREAMS[key[0] - 1], key[1])
        if self.model.texts[key].owner is None:
            del self.model.texts[key]
        else:
            self.model.texts[key].deleted = True

    @rule(data=st.data())
    @precondition(lambda self: self.model.letters)
    def requeue(self, data: st.DataObject) -> None:
        """An operator gives a dead letter another chance: one more result is wanted."""
        letters = self.redis.xrange(keys.dead(Q))
        entry, fields = data.draw(st.sampled_from(letters))
        answer = run_script(self.redis, "requeue", [keys.dead(Q), *STREAMS], entry, 1000)
        if answer[0] == "no_text":  # the request had been deleted before it was answered
            assert "text" not in fields
            return
        self.model.letters.remove(fields["id"])
        number = STREAMS.index(fields["dead_stream"]) + 1
        self.model.texts[number, answer[1]] = Text(fields["id"], dedupe=False)

    @rule(chance=SELDOM)
    def flush(self, chance: int) -> None:
        """Redis loses everything; what workers still have must not be answered as if nothing had happened."""
        if chance:
            return
        self.redis.flushall()
        self.model = Model()

    @invariant()
    def redis_is_as_the_model(self) -> None:
        """Compare streams, pending entries and results."""
        for number, stream in enumerate(STREAMS, 1):
            mine = {entry: text for (of, entry), text in self.model.texts.items() if of == number}
            there = {entry for entry, _ in self.redis.xrange(stream)}
            assert there == {entry for entry, text in mine.items() if not text.deleted}
            assert pending(self.redis, stream) == {
                entry: (text.owner, text.deliveries) for entry, text in mine.items() if text.owner is not None
            }
        assert [fields["id"] for _, fields in self.redis.xrange(keys.results(Q))] == self.model.results
        # without the request, which was deleted by hand, a dead letter lacks its id
        letters = [fields.get("id") for _, fields in self.redis.xrange(keys.dead(Q))]
        assert len(letters) == len(self.model.letters)
        assert Counter(filter(None, letters)) <= Counter(self.model.letters)

    def teardown(self) -> None:
        """A last worker takes what is left: nothing of it may be lost, nothing answered twice."""
        left = [text for text in self.model.texts.values() if not text.deleted]
        owed = {text.ident for text in left if not text.dedupe or text.ident not in self.model.seen}
        before = set(self.model.results)
        self.names["last"] = "last-0"
        self.read("last", 1000, lost=False)
        self.take_over("last")
        for key in list(self.hand("last")):
            text = self.model.texts[key]
            fields = ["v", "1", "id", text.ident, "status", "ok"]
            self._answer(key, text.ident, "ok")
            commit(self.redis, (*key, text.ident if text.dedupe else "", "", "ok", fields), remembered=10_000)
        self.redis_is_as_the_model()
        assert not self.model.texts
        assert set(self.model.results) == before | owed
        assert not any(self.redis.xlen(stream) for stream in STREAMS)


def pending(redis: redis_py.Redis, stream: str) -> dict[str, tuple[str, int]]:
    try:
        items = redis.xpending_range(stream, keys.GROUP, "-", "+", 1000)
    except redis_py.ResponseError:  # there is no group yet
        return {}
    return {item["message_id"]: (item["consumer"], item["times_delivered"]) for item in items}


@pytest.fixture
def run(redis: redis_py.Redis) -> Callable[[int], None]:
    """Run so many sequences of steps."""

    class Here(Queue):
        pass

    Here.redis = redis
    quiet: Any = [HealthCheck.too_slow, HealthCheck.filter_too_much]

    def go(examples: int) -> None:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Here,
            settings=settings(
                max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=quiet
            ),
        )

    return go


def test_every_text_is_answered_once_whatever_happens(run: Callable[[int], None]) -> None:
    run(150)


@pytest.mark.slow
def test_every_text_is_answered_once_whatever_happens_for_long(run: Callable[[int], None]) -> None:
    run(2000)

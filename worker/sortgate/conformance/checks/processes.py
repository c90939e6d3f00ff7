"""Threads and processes: the same answers from eight threads, after a fork, and from a fresh process."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from sortgate.conformance.findings import CheckError, NotApplicableError, apart, shown
from sortgate.conformance.interpreters import Report, run
from sortgate.conformance.pace import Pace
from sortgate.conformance.subject import Subject

_THREADS, _ROUNDS = 8, 4
_THREADS_S = 60.0


def process(subject: Subject, seed: int) -> Report:
    """Return what a process of its own answered, with that seed of hashing, 1 or 2; run once for all checks."""
    if not subject.reports:
        short = ["answers", *(["fitted"] if subject.learns else [])]
        long = [*short, *(["forked"] if hasattr(os, "fork") else []), "times"]
        assert subject.state is None or subject.learns  # made here, not in two threads  # noqa: S101
        with ThreadPoolExecutor() as pool:
            one, two = pool.submit(run, subject, long, seed=1), pool.submit(run, subject, short, seed=2)
            subject.reports = {1: one.result(), 2: two.result()}
    report: Report = subject.reports[seed]
    return report


def paces(subject: Subject) -> list[Pace]:
    """Return how long small and large texts took there."""
    return msgspec.convert(process(subject, 1).result("times"), list[Pace])


def threads(subject: Subject) -> None:
    """Eight threads at a time get the answers that one gets."""
    component, expected = subject.component, subject.steady
    order = list(expected)
    found: list[tuple[int, str]] = []
    barrier = threading.Barrier(_THREADS)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(_ROUNDS):
            for step in range(len(order)):
                index = order[(step * 7 + number * 5 + turn) % len(order)]
                answer = subject.answer(component, subject.core[index])
                if answer != expected[index]:
                    found.append((index, answer))
                    return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # as many switches between threads as there can be
    try:
        workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(_THREADS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(_THREADS_S)
    finally:
        sys.setswitchinterval(interval)
    if any(worker.is_alive() for worker in workers):
        raise CheckError("the ordinary texts in eight threads", "no end after a minute", "look for locks taken twice")
    if found and subject.pure:
        index, answer = found[0]
        came = apart(answer, expected[index], "in one thread")
        advice = "keep what a call needs in local variables, not on the component or the module"
        raise CheckError(f"{shown(subject.core[index])} in one of eight threads", came, advice)


def fork(subject: Subject) -> None:
    """A forked process, as the worker's pool is made of, answers like the one it came from."""
    if not hasattr(os, "fork"):
        raise NotApplicableError("this system has no fork")
    report = process(subject, 1)
    answered, after = report.result("answers"), report.result("forked")
    advice = "start threads, pools and connections in the process that uses them, at the first call"
    if after is None:
        raise CheckError("the ordinary texts in a forked process", "no answer within seconds", advice)
    _same_as_here(subject, dict(enumerate(answered)), after, "before the fork", advice)


def spawn(subject: Subject) -> None:
    """A fresh process that restores the state answers like this one."""
    report, second = process(subject, 1), process(subject, 2)
    answered = report.result("answers")
    other = second.result("answers")
    agreed = {index: answer for index, answer in subject.steady.items() if answered[index] == other[index]}
    advice = "put all that was learned into state(), and nothing that answers depend on into the module or the class"
    _same_as_here(subject, agreed, answered, "in the process that made it", advice)


def _same_as_here(subject: Subject, expected: dict[int, str], answers: list[str], where: str, advice: str) -> None:
    if not subject.pure:
        return
    for index, answer in expected.items():
        if answers[index] != answer:
            raise CheckError(shown(subject.core[index]), apart(answers[index], answer, where), advice)

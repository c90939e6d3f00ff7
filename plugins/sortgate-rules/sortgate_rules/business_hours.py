"""``rules.business_hours.v1``: who is asleep gets no work. Routes labels elsewhere outside of business hours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sortgate.types import Prediction
from sortgate_rules import parameters
from sortgate_rules.deciding import decide

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: In ``outside``: any label that has no line of its own.
ANY = "*"

#: From and to, as minutes of the day, ``to`` not included.
Hours = tuple[int, int]


class BusinessHours:
    """Replaces labels as ``outside`` says, on ``holidays`` and outside of each day's ``hours`` in ``time_zone``."""

    #: The same prediction gets another label at another time, so golden texts are not compared beyond this rule.
    pure = False

    def __init__(
        self,
        time_zone: str,
        hours: Mapping[str, Sequence[str]],
        outside: Mapping[str, str],
        holidays: Sequence[str] = (),
    ) -> None:
        self._zone = _zone(time_zone)
        self._hours = _week(hours)
        self._outside = {
            label: parameters.text(f"outside.{label}", other)
            for label, other in parameters.table("outside", outside).items()
        }
        if not self._outside:
            raise ValueError("outside must map at least one label, or '*', to another")
        self._holidays = frozenset(map(_holiday, parameters.texts("holidays", holidays)))

    def __call__(self, prediction: Prediction) -> Prediction:
        return prediction if self.is_open(self.now()) else self._routed(prediction)

    def batch(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        """Look at the clock once."""
        return list(predictions) if self.is_open(self.now()) else list(map(self._routed, predictions))

    def now(self) -> datetime:
        """Return the time, with its zone. A test puts its own clock here."""
        return datetime.now(self._zone)

    def is_open(self, moment: datetime) -> bool:
        """Say whether ``moment``, of any time zone, is within business hours."""
        here = moment.astimezone(self._zone)
        minute = here.hour * 60 + here.minute
        return here.date() not in self._holidays and any(
            start <= minute < end for start, end in self._hours[here.weekday()]
        )

    def _routed(self, prediction: Prediction) -> Prediction:
        if prediction.label is None:
            return prediction
        other = self._outside.get(prediction.label, self._outside.get(ANY, prediction.label))
        return decide(prediction, other)


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(parameters.text("time_zone", name))
    except (OSError, LookupError, ValueError):  # what zoneinfo raises for names that are no file's, none's, or unsafe
        raise ValueError("time_zone must be a zone of the IANA database, such as Europe/Berlin") from None


def _week(hours: object) -> list[list[Hours]]:
    """Return the hours of Monday to Sunday; a day that is not mentioned has none."""
    given = parameters.table("hours", hours)
    if unknown := sorted(set(given) - set(_DAYS)):
        raise ValueError(f"hours has {', '.join(map(repr, unknown))}; there are: {', '.join(_DAYS)}")
    return [
        [
            _span(f"hours.{day}[{index}]", span)
            for index, span in enumerate(parameters.texts(f"hours.{day}", given.get(day, [])))
        ]
        for day in _DAYS
    ]


def _span(key: str, span: str) -> Hours:
    start, _, end = span.partition("-")
    try:
        hours = _minutes(start), _minutes(end)
    except ValueError:
        raise ValueError(f"{key} must be two times of the day, such as '09:00-17:30'") from None
    if hours[0] >= hours[1]:
        raise ValueError(f"{key} must begin before it ends; a night is '22:00-24:00', and '00:00-06:00' the day after")
    return hours


def _minutes(clock: str) -> int:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", clock):
        raise ValueError("not a time of the day")
    return int(clock[:2]) * 60 + int(clock[3:])


def _holiday(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise ValueError("holidays must be a list of dates such as '2026-12-25'") from None

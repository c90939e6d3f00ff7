"""Which checks a plugin gets, one case each, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sortgate.conformance.checks import CHECKS, Check
from sortgate.conformance.findings import CheckError, Finding, NotApplicableError, Verdict
from sortgate.conformance.interpreters import Survey, survey
from sortgate.conformance.predictions import LABELS
from sortgate.conformance.subject import Settings, Subject
from sortgate.conformance.target import Target
from sortgate.errors import ConfigurationError


class Case:
    """One check of one component, or of the plugin as a whole; judged once, when it is first asked."""

    def __init__(self, subject: str, check: str, run: Callable[[], None]) -> None:
        self.subject, self.check = subject, check
        self.id = f"{subject}-{check}"
        self._run = run
        self._verdict: Verdict | None = None

    def judge(self) -> Verdict:
        """Run the check."""
        if self._verdict is None:
            try:
                self._run()
                self._verdict = Verdict()
            except CheckError as failure:
                self._verdict = Verdict(Finding(self.subject, self.check, failure.given, failure.came, failure.advice))
            except NotApplicableError as reason:
                self._verdict = Verdict(left_out=str(reason))
        return self._verdict


def plan(
    plugin: str | Path,
    *,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    labels: Sequence[str] = LABELS,
    budget_us: float = 1_000.0,
    import_s: float = 0.5,
    huge_s: float = 2.0,
) -> list[Case]:
    """Import the plugin in a process of its own and return its cases; arguments as :func:`check_plugin`."""
    target = Target.of(plugin)
    settings = Settings(params or {}, labels, budget_us, import_s, huge_s)
    found = survey(target)
    cases = [
        Case(target.plugin, "load", lambda: _loads(found)),
        Case(target.plugin, "import", lambda: _quiet(found)),
        Case(target.plugin, "import-time", lambda: _quick(found, target, settings)),
    ]
    names = [component.name for component in found.components]
    if not found.error and (unknown := sorted(set(settings.params) - set(names))):
        raise ConfigurationError(f"params are for {', '.join(unknown)}, which {target.plugin} does not register")
    for component in found.components:
        subject = Subject(target, component.kind, component.name, settings)
        made: dict[str, Case] = {}
        for check in CHECKS:
            if component.kind in check.kinds:
                made[check.name] = Case(component.name, check.name, _bound(check, subject, made))
        cases += made.values()
    return cases


def check_plugin(
    plugin: str | Path,
    *,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    labels: Sequence[str] = LABELS,
    budget_us: float = 1_000.0,
    import_s: float = 0.5,
    huge_s: float = 2.0,
) -> list[Finding]:
    """Run all checks on a plugin and return what is wrong with it: nothing, in the best case.

    Args:
        plugin: distribution, or path of a plugin of one file.
        params: component to the parameters it is checked with; the others get none.
        labels: of the predictions that post-processors get.
        budget_us: microseconds that a text of forty words may cost in each component.
        import_s: processor seconds that importing the plugin may take.
        huge_s: processor seconds that one text of 64 KiB may take in each component.

    Raises:
        ConfigurationError: there is no such plugin, or ``params`` names a component that it lacks.
    """
    cases = plan(plugin, params=params, labels=labels, budget_us=budget_us, import_s=import_s, huge_s=huge_s)
    return [verdict.finding for verdict in (case.judge() for case in cases) if verdict.finding is not None]


def _bound(check: Check, subject: Subject, cases: Mapping[str, Case]) -> Callable[[], None]:
    def run() -> None:
        for name in check.after:
            verdict = cases[name].judge()
            if verdict.finding is not None:
                raise NotApplicableError(f"the check {name!r} comes first")
        check.run(subject)

    return run


def _loads(found: Survey) -> None:
    if found.error is not None and not found.seen:
        raise CheckError("the plugin", found.error, "mend the import or the hook; nothing else can be checked before")


def _quiet(found: Survey) -> None:
    if found.seen:
        more = f" and {len(found.seen) - 1} more like it" if len(found.seen) > 1 else ""
        raise CheckError(
            "an import of the plugin and its hooks",
            f"{found.seen[0]}{more}",
            "do it when a component is made; listing plugins imports them all, and must neither wait nor leave traces",
        )


def _quick(found: Survey, target: Target, settings: Settings) -> None:
    if found.error is not None:
        raise NotApplicableError("the check 'load' comes first")
    seconds = found.seconds
    if seconds > settings.import_s:  # perhaps only the first time, when its files were not in memory yet
        seconds = min(seconds, survey(target).seconds)
    if seconds > settings.import_s:
        raise CheckError(
            "an import of the plugin and its hooks",
            f"{seconds:.2f} s of the processor; {settings.import_s:g} s are allowed (import_s)",
            "import large libraries when a component is made, in the factory",
        )

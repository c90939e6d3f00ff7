"""The conformance kit: whether a plugin keeps what every component promises. ``sortgate.testing`` has it for pytest."""

from __future__ import annotations

from sortgate.conformance.findings import Finding, Verdict
from sortgate.conformance.plan import Case, check_plugin, plan

__all__ = ["Case", "Finding", "Verdict", "check_plugin", "plan"]

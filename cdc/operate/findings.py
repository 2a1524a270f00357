"""What `doctor` finds, in words for the person who has to mend it. Pure: no clock, no connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Severity(StrEnum):
    """ERROR: the sync can't work, or endangers the database; WARNING: it works, but worse than it could."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"


_ORDER: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.OK: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Never holds a row's value, a token or a part of a URL but names."""

    code: str                       # stable, for machines: database.unreachable
    severity: Severity
    what: str
    why: str = ""                   # why it matters
    fix: str = ""                   # what a person does about it
    sql: tuple[str, ...] = ()       # statements that mend it, each to be run by itself

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code, "severity": self.severity.value, "what": self.what, "why": self.why, "fix": self.fix,
            "sql": list(self.sql),
        }


def error(code: str, what: str, why: str, fix: str, *statements: str) -> Finding:
    """Return a finding that keeps the sync from working, or endangers the database."""
    return Finding(code, Severity.ERROR, what, why, fix, written(statements))


def warning(code: str, what: str, why: str, fix: str, *statements: str) -> Finding:
    """Return a finding with which the sync works, but worse than it could."""
    return Finding(code, Severity.WARNING, what, why, fix, written(statements))


def ok(code: str, what: str) -> Finding:
    """Return what was looked at and is as it should be."""
    return Finding(code, Severity.OK, what)


def written(statements: Iterable[str]) -> tuple[str, ...]:
    """Return each statement with its semicolon."""
    return tuple(f"{text};" for text in statements)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return errors, then warnings, then what is well, each in the order in which it was looked at."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))


def troubles(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what a person has to do something about."""
    return tuple(finding for finding in findings if finding.severity is not Severity.OK)


def statements(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the SQL of all findings, each statement once; a reload of the settings comes after all that need it."""
    found = dict.fromkeys(line for finding in findings for line in finding.sql)
    return (*(line for line in found if line not in RELOAD_LINES), *(line for line in found if line in RELOAD_LINES))


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for machines."""
    counts = {severity: sum(finding.severity is severity for finding in findings) for severity in Severity}
    return {
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "findings": [finding.as_json() for finding in findings],
    }


RELOAD: Final = "select pg_reload_conf()"
RELOAD_LINES: Final = frozenset(written([RELOAD]))

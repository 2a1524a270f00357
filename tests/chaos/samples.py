"""Random values, all of them invented: for columns, for what people type, and for what they should not type."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from tests.chaos.fields import ENUMS, SYDNEY, Prop, Table

T = TypeVar("T")
TAG: Final = "qzx"
"""Part of every text: it must never be seen in a log."""
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_ENDS: Final = ("", "", "", "", " é", " 🦘", " ", '"quoted"', " a\nb", " 100%s", "\\")
UNIQUE: Final = (("NDISPlan", "planNumber"), ("Complaint", "complaintNumber"))


class Samples:
    """Values of one operation: all that is random comes from its own generator, so that it can be repeated alone."""

    def __init__(self, rng: random.Random, name: str) -> None:
        self.rng = rng
        self._name = name
        self._count = 0

    def pick(self, found: Sequence[T]) -> T:
        """Return one; takes one draw, however many there are."""
        return found[int(self.rng.random() * len(found))]

    def fresh(self, prefix: str) -> str:
        """Return an id nobody has."""
        self._count += 1
        return f"{prefix}-{self._name}-{self._count}"

    def text(self, *, long: bool = False) -> str:
        """Return a text nobody has typed before."""
        self._count += 1
        ending = self.pick(_ENDS)
        if long and self.rng.random() < 0.08:
            ending = " long" * 700
        return f"{TAG}{self._name}.{self._count}{ending}"

    def moment(self) -> datetime:
        """Return an instant as a column holds it: UTC, without saying so."""
        moment = _START + timedelta(days=int(self.rng.random() * 900), seconds=int(self.rng.random() * 86_400))
        return (moment + timedelta(milliseconds=int(self.rng.random() * 1000))).replace(tzinfo=None)

    def money(self, least: int = 0, most: int = 900_000) -> Decimal:
        return Decimal(least * 100 + int(self.rng.random() * (most - least) * 100)) / 100

    def column(self, table: str, name: str) -> Any:
        """Return a new value for a mapped column."""
        if (table, name) in ENUMS:
            return self.pick(ENUMS[table, name])
        match name:
            case "totalBudget":
                return self.money(500_000)
            case "remainingBudget":
                return self.money(0, 400_000)
            case "startDate":
                return self.moment() - timedelta(days=2000)
            case "endDate" | "reviewDate" | "occurredAt" | "receivedAt" | "createdAt":
                return self.moment()
            case "ndisReported":
                return self.rng.random() < 0.5
            case "amount":
                return self.money()
            case "name":
                return self.pick((None, "", self.text(), self.text(), self.text(), self.text()))
            case "email":
                self._count += 1
                return f"{TAG}{self._name}.{self._count}@example.org".lower()
            case "description":
                return self.text(long=True)
        return self.text().strip() if (table, name) in UNIQUE else self.text()

    def typed(self, table: Table, prop: Prop) -> Any:
        """Return a valid value for a person to type into a shared property."""
        value = self.column(table.name, str(prop.column))
        match prop.kind:
            case "money":
                return float(value)
            case "day":
                return value.replace(tzinfo=UTC).astimezone(SYDNEY).date().isoformat()
            case "moment":
                return value.replace(microsecond=0, tzinfo=UTC).astimezone(SYDNEY).isoformat()
            case "flag":
                return True
            case "select" if table.name == "CarePlan" and self.rng.random() < 0.2:
                return f"Paused {TAG}{self._name}"
            case "text":
                return value or self.text()
        return value

    def wrong(self, table: Table, prop: Prop) -> Any:
        """Return what MapAble does not take in a shared property."""
        match prop.kind:
            case "money" if prop.name == "Remaining Budget":
                return self.pick((99_999_999.0, -5.0, 1.005, 1e12))
            case "money":
                return self.pick((1.005, 1e12, 99999999999.99, 0.001))
            case "day":
                return "1999-01-01" if prop.name == "End Date" else None
            case "select" if table.name != "CarePlan":
                return f"NO SUCH {TAG}{self._name}"
            case "flag":
                return False
            case "text" if prop.name != "Name":
                return self.pick((None, f"a\0b {TAG}{self._name}", f"\ud800 {TAG}{self._name}"))
        return None

    def kept(self, prop: Prop, pages: list[str]) -> Any:
        """Return what somebody may write over a property that MapAble keeps."""
        match prop.kind:
            case "email":
                return f"{TAG}{self._name}.taken@example.org"
            case "money":
                return float(self.money())
            case "moment":
                return self.moment().replace(microsecond=0, tzinfo=UTC).isoformat()
            case "relation":
                return [self.pick(pages)] if pages and self.rng.random() < 0.7 else []
            case "select":
                return self.pick(("Inactive", "Active", f"ODD {TAG}{self._name}"))
        return self.pick((self.text(), None, f"{self.text()} \0 \ud800"))

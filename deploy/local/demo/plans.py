"""The demo's NDIS plans, care plans and payments."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from psycopg.types.json import Jsonb

from deploy.local.demo import people
from deploy.local.demo.rows import FIXED_DAY, Row, cuid, dice, moment, secret, sydney_midnight, utc

PLAN_COUNT: Final = 55
CARE_PLAN_COUNT: Final = 45
PAYMENT_COUNT: Final = 120

LARGEST: Final = Decimal("9999999999.99")
"""The largest amount that numeric(12,2) holds."""

# Code, description, price of an hour or unit in dollars.
SERVICES: Final = (
    ("01_011_0107_1_1", "Assistance With Self-Care Activities - Standard - Weekday Daytime", "70.23"),
    ("01_015_0107_1_1", "Assistance With Self-Care Activities - Standard - Weekday Evening", "77.38"),
    ("01_013_0107_1_1", "Assistance With Self-Care Activities - Standard - Saturday", "98.83"),
    ("01_014_0107_1_1", "Assistance With Self-Care Activities - Standard - Sunday", "127.43"),
    ("01_012_0107_1_1", "Assistance With Self-Care Activities - Standard - Public Holiday", "156.03"),
    ("01_020_0120_1_1", "House Cleaning And Other Household Activities", "58.03"),
    ("04_104_0125_6_1", "Access Community Social and Rec Activ - Standard - Weekday Daytime", "70.23"),
    ("07_002_0106_8_3", "Support Coordination Level 2: Coordination Of Supports", "100.14"),
    ("14_034_0127_8_3", "Plan Management - Monthly Fee", "104.45"),
    ("15_617_0128_1_3", "Assessment Recommendation Therapy or Training - Occupational Therapist", "193.99"),
    ("15_622_0128_1_3", "Assessment Recommendation Therapy or Training - Speech Pathologist", "193.99"),
    ("02_051_0108_1_1", "Transport", "1.00"),
)

# Days on which a careless conversion between UTC and Sydney lands on the wrong date: both sides of each change
# of the clock, the new year and a leap day. Start and end of a plan's term.
_TERMS_WITH_EDGES: Final = (
    (sydney_midnight(date(2025, 10, 5)), sydney_midnight(date(2026, 10, 4))),
    (sydney_midnight(date(2026, 4, 5)), sydney_midnight(date(2027, 4, 4))),
    (sydney_midnight(date(2025, 10, 6)), sydney_midnight(date(2026, 10, 5))),
    (utc("2026-04-04T15:59:59.999"), utc("2027-04-03T16:00:00")),
    (utc("2025-12-31T13:00:00"), utc("2026-12-31T12:59:59.999")),
    (utc("2024-02-29T00:00:00"), utc("2026-02-28T00:00:00")),
)
_MONEY_EDGES: Final = (
    (Decimal("0.00"), Decimal("0.00")),
    (LARGEST, LARGEST),
    (Decimal("84250.10"), Decimal("0.00")),
    (Decimal("0.01"), Decimal("0.01")),
)
_PLAN_STATUSES: Final = ("ACTIVE",) * 6 + ("DRAFT", "SUSPENDED", "EXPIRED", "CANCELLED")

_CARE_PLAN_NAMES: Final = (
    "Daily living support", "Community access", "Mealtime management", "Positive behaviour support",
    "Supported independent living", "Return to work 🛠️", "Communication — AAC device", "Mobility & transfers",
    "Short term accommodation (respite)", "Transition from school", "خطة الرعاية اليومية", "Sleep and night routine",
)  # fmt: skip
# Free text in MapAble: most rows use three words, some don't; a select can't hold the one with a comma.
_CARE_PLAN_STATUSES: Final = ("Active",) * 6 + ("Completed", "On Hold")
_ODD_STATUSES: Final = {3: "Paused – in hospital", 17: "Active, awaiting review", 29: "active"}
_GOALS: Final = (
    "Catch the bus to TAFE on my own", "Cook dinner twice a week", "Use my communication device at school",
    "Walk to the corner shop with my frame", "Have people over for the footy 🏉", "Sleep through without a worker",
    "Get my Ls", "Volunteer at the animal shelter", "Say what I want in my plan meeting\n(with or without Mum there)",
)  # fmt: skip
_ODD_GOALS: Final[dict[int, list[dict[str, str | None]]]] = {
    1: [],
    2: [{"description": "No date and no status yet"}],
    5: [{"targetDate": "2026-09-30", "status": "IN_PROGRESS"}],
    8: [{}, {"description": "", "targetDate": "", "status": ""}],
    13: [{"description": None, "targetDate": None, "status": None}, {"description": "Only a status", "status": "DONE"}],
    21: [{"description": "Dated by the app", "targetDate": "2026-10-03T16:00:00.000Z", "status": "NOT_STARTED"}],
    # a key that the mapping does not know: it must stay here like any unlisted column
    34: [{"description": "אני רוצה לגור לבד", "targetDate": "2027-01-31", "evidence": secret("evidence", 34)}],
}  # fmt: skip

_PAYMENT_STATUSES: Final = ("COMPLETED",) * 6 + ("PENDING", "PENDING", "PROCESSING", "FAILED")
_AMOUNT_EDGES: Final = {7: Decimal("0.00"), 19: Decimal("0.01"), 41: LARGEST, 66: Decimal("-70.23")}


def plan_id(number: int) -> str:
    """Return the id of the NDIS plan at `number`."""
    return cuid("NDISPlan", number)


def plan_number(number: int) -> str:
    """Return what people call the NDIS plan at `number`."""
    return f"NDIS-{430_100 + number * 7}"


def care_plan_id(number: int) -> str:
    """Return the id of the care plan at `number`."""
    return cuid("CarePlan", number)


def payment_id(number: int) -> str:
    """Return the id of the payment at `number`."""
    return cuid("PaymentTransaction", number)


def ndis_plans() -> tuple[Row, ...]:
    """Return all rows of "NDISPlan"; the last belongs to a person who is no participant any more."""
    return tuple(_ndis_plan(number) for number in range(PLAN_COUNT))


def care_plans() -> tuple[Row, ...]:
    """Return all rows of "CarePlan"."""
    return tuple(_care_plan(number) for number in range(CARE_PLAN_COUNT))


def payments() -> tuple[Row, ...]:
    """Return all rows of "PaymentTransaction"."""
    return tuple(_payment(number) for number in range(PAYMENT_COUNT))


def _plan_holder(number: int) -> str:
    return people.participant_id(number) if number < PLAN_COUNT - 1 else people.former_participant_id()


def _ndis_plan(number: int) -> Row:
    rng = dice("NDISPlan", number)
    first_day = FIXED_DAY - timedelta(days=rng.randrange(20, 340))
    start, end = sydney_midnight(first_day), sydney_midnight(first_day + timedelta(days=364))
    if 2 <= number < 2 + len(_TERMS_WITH_EDGES):
        start, end = _TERMS_WITH_EDGES[number - 2]
    total = Decimal(rng.randrange(900_000, 26_000_000)) / 100
    remaining = (total * rng.randrange(3, 98) / 100).quantize(Decimal("0.01"))
    if 10 <= number < 10 + len(_MONEY_EDGES):
        total, remaining = _MONEY_EDGES[number - 10]
    return {
        "id": plan_id(number),
        "participantId": _plan_holder(number),
        "planNumber": plan_number(number),
        "status": "ACTIVE" if number == 0 else rng.choice(_PLAN_STATUSES),
        "startDate": start,
        "endDate": end,
        "totalBudget": total,
        "remainingBudget": remaining,
        # every fifth person manages the money without anybody's help
        "planManagerId": None if number % 5 == 4 else people.plan_manager_id(number % len(people.PLAN_MANAGERS)),
        "metadata": Jsonb({"source": secret("metadata", number)}) if number % 3 else None,
        "createdAt": moment(rng.randrange(340, 400), rng),
        "updatedAt": moment(rng.randrange(1, 20), rng),
        "bankAccount": secret("bankAccount", number),
        "fundingBreakdown": Jsonb({"core": str(total), "note": secret("fundingBreakdown", number)}),
        "internalNotes": secret("internalNotes", number),
    }


def _care_plan(number: int) -> Row:
    rng = dice("CarePlan", number)
    start = moment(rng.randrange(10, 300), rng)
    goals: list[dict[str, str | None]] = [
        {
            "description": description,
            "targetDate": (FIXED_DAY + timedelta(days=rng.randrange(30, 400))).isoformat(),
            "status": rng.choice(("NOT_STARTED", "IN_PROGRESS", "ACHIEVED")),
        }
        for description in rng.sample(_GOALS, rng.randrange(1, 5))
    ]
    return {
        "id": care_plan_id(number),
        "participantId": people.participant_id(number * 4 % len(people.PARTICIPANTS)),
        "workerId": None if number % 6 == 5 else people.worker_id(number % len(people.WORKERS)),
        "planName": _CARE_PLAN_NAMES[number % len(_CARE_PLAN_NAMES)],
        "goals": Jsonb(_ODD_GOALS.get(number, goals)),
        "services": Jsonb([{"code": rng.choice(SERVICES)[0], "note": secret("services", number)}]),
        "startDate": start,
        "reviewDate": start + timedelta(days=rng.choice((90, 180, 365))),
        "status": _ODD_STATUSES.get(number) or rng.choice(_CARE_PLAN_STATUSES),
        "createdAt": start - timedelta(days=7),
        "updatedAt": moment(rng.randrange(1, 9), rng),
        "clinicalNotes": secret("clinicalNotes", number),
        "medications": Jsonb([{"name": secret("medications", number), "dose": "5 mg"}]),
        "diagnosisCodes": [secret("diagnosisCodes", number)],
        "internalNotes": secret("internalNotes", number),
    }


def _payment(number: int) -> Row:
    rng = dice("PaymentTransaction", number)
    code, description, price = rng.choice(SERVICES)
    amount = (Decimal(price) * rng.randrange(2, 33) / 4).quantize(Decimal("0.01"))
    status = "REVERSED" if number == 66 else rng.choice(_PAYMENT_STATUSES)
    created = _payment_moment(number)
    plan = number * 3 % (PLAN_COUNT - 1)
    return {
        "id": payment_id(number),
        "planId": plan_id(plan),
        "participantId": _plan_holder(plan),
        "providerId": people.provider_id(number % len(people.PROVIDERS)),
        "workerId": people.worker_id(number % len(people.WORKERS)) if number % 3 else None,
        "voucherId": secret("voucherId", number) if number % 4 == 0 else None,
        "serviceCode": code,
        "serviceDescription": description if number % 9 else None,
        "amount": _AMOUNT_EDGES.get(number, amount),
        "status": status,
        "blockchainTxHash": f"0x{secret('blockchainTxHash', number)}" if status == "COMPLETED" else None,
        "validationResult": Jsonb({"ok": status != "FAILED", "trace": secret("validationResult", number)}),
        "createdAt": created,
        "completedAt": created + timedelta(minutes=rng.randrange(1, 3000)) if status == "COMPLETED" else None,
        "payeeAccount": secret("payeeAccount", number),
        "rawResponse": Jsonb({"body": secret("rawResponse", number)}) if number % 2 else None,
        "internalNotes": secret("internalNotes", number),
    }


def _payment_moment(number: int) -> datetime:
    # two payments in the hour that Sydney had twice
    doubled = {11: utc("2026-04-04T15:30:00"), 12: utc("2026-04-04T16:30:00")}
    return doubled.get(number) or moment(1 + number * 2, dice("PaymentTransaction time", number))

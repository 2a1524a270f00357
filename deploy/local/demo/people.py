"""The invented people of the demo: participants, providers, plan managers, workers and others."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from psycopg.types.json import Jsonb

from deploy.local.demo.rows import Row, cuid, dice, moment, secret

SUBURBS: Final = (
    ("Marrickville", "NSW", "2204"), ("Footscray", "VIC", "3011"), ("Inala", "QLD", "4077"),
    ("Fremantle", "WA", "6160"), ("Salisbury", "SA", "5108"), ("Glenorchy", "TAS", "7010"),
    ("Belconnen", "ACT", "2617"), ("Nightcliff", "NT", "0810"), ("Cabramatta", "NSW", "2166"),
    ("Dandenong", "VIC", "3175"), ("Woolloongabba", "QLD", "4102"), ("Mirrabooka", "WA", "6061"),
    ("Parramatta", "NSW", "2150"), ("Geelong West", "VIC", "3218"), ("Toowoomba", "QLD", "4350"),
    ("Wagga Wagga", "NSW", "2650"), ("Broome", "WA", "6725"), ("Alice Springs", "NT", "0870"),
)  # fmt: skip

# Name and the e-mail's local part. None and '' are both "no name": such people show their e-mail.
PARTICIPANTS: Final[tuple[tuple[str | None, str], ...]] = (
    ("Amelia Tran", "amelia.tran"), ("Jack Thompson", "jack.thompson"), ("Priya Raghunathan", "priya.r"),
    ("Mohammed Al-Sayed", "mohammed.alsayed"), ("Ngaire Te Whata", "ngaire.tewhata"),
    ("Siobhán O'Rourke", "siobhan.orourke"), (None, "preferred-name-withheld"), ("Giuseppe Mancuso", "g.mancuso"),
    ("Lakshmi Venkatesan", "lakshmi.v"), ("Björn Åkerström", "bjorn.akerstrom"), ("ليلى حداد", "layla.haddad"),
    ("陳美玲 (Mei-Ling Chan)", "meiling.chan"), ("", "new.starter"), ("Kirra Walker-Bell", "kirra.walker"),
    ("Zoe\u0308 Nguye\u0302\u0303n", "zoe.nguyen"), ("Tane Parata", "tane.parata"), ("Matilda 🌻 Byrne", "m.byrne"),
    ("Dimitra Papadopoulos", "dimitra.p"), ("Ahmed Warsame", "ahmed.warsame"), ("Olivia Sutherland", "olivia.s"),
    ("Hyun-woo Park", "hyunwoo.park"), ("Ivana Kovačević", "ivana.kovacevic"), ("Tevita Fifita", "tevita.fifita"),
    ("יעל בן־דוד", "yael.bendavid"), ("William Carruthers III", "w.carruthers"), ("Thi Hoa Lê", "hoa.le"),
    ("Fatima Zahra Rezaei", "fatima.rezaei"), ("Charlie D’Souza", "charlie.dsouza"), ("Barlow, Tom", "tom.barlow"),
    ("Abebe Tesfaye", "abebe.tesfaye"), ("Grace Lual Deng", "grace.deng"), ("Stanisław Wójcik", "s.wojcik"),
    ("Maya Fernández-Ortiz", "maya.fernandez"), ("Ruby 👩🏽‍🦽 Collins", "ruby.collins"), ("Arjun Gill", "arjun.gill"),
    ("สมชาย ใจดี", "somchai.jaidee"), ("Lucy McAllister", "lucy.mcallister"), ("Henare Wikaira", "henare.wikaira"),
    ("Sofia Lindqvist", "sofia.lindqvist"), ("Noah Rosenberg", "noah.rosenberg"), ("X Æ Ó", "x"),
    ("Isla Fraser", "isla.fraser"), ("Rajesh Kumar Pillai", "rajesh.pillai"), ("佐藤 陽子", "yoko.sato"),
    ("Leila Mansouri", "leila.mansouri"), ("Bruno Azevedo", "bruno.azevedo"), ("Jarrah Simpson", "jarrah.simpson"),
    ("Anastasiya Шевченко", "a.shevchenko"), ("Finn O’Connell", "finn.oconnell"), ("Mele Tuʻipulotu", "mele.t"),
    ("Daniel de la Cruz", "d.delacruz"), ("Hannah Müller-Weiß", "hannah.mueller"), ("Kofi Boateng", "kofi.boateng"),
    ("Chloe Abernathy", "chloe.abernathy"), ("Minh Khôi Đặng", "khoi.dang"), ("Aroha Ngata", "aroha.ngata"),
    ("Oscar Petersen", "oscar.petersen"), ("Samira Haidari", "samira.haidari"), (None, "Ines.Marques"),
    ("Edith Wollstonecraft-Featherstonehaugh of Upper Ferntree Gully", "edith.wf"),
)  # fmt: skip

PROVIDERS: Final[tuple[tuple[str | None, str], ...]] = (
    ("Harbourside Support Services Pty Ltd", "accounts.harbourside"), ("Wattle & Gum Therapies", "hello.wattlegum"),
    ("Yarra Community Care Inc.", "billing.yarra"), ("Southern Cross Allied Health", "admin.sxah"),
    (None, "invoices.unnamed-provider"), ("Banksia House", "office.banksiahouse"),
    ("Outback Mobility (NT)", "jobs.outbackmobility"), ("Everyday Independence Co-operative", "team.everyday"),
)  # fmt: skip

PLAN_MANAGERS: Final[tuple[tuple[str | None, str], ...]] = (
    ("Clearwater Plan Management", "plans.clearwater"), ("Helen Stavrou", "helen.stavrou"),
    (None, "intake.nameless-manager"), ("Rashid Qureshi", "rashid.qureshi"),
)  # fmt: skip

WORKERS: Final[tuple[tuple[str | None, str], ...]] = (
    ("Bernadette Kelly", "bernadette.kelly"), ("Sanjay Patel", "sanjay.patel"), ("Temuera Rangi", "temuera.rangi"),
    ("Nguyễn Thị Lan", "lan.nguyen"), ("Ewa Nowak", "ewa.nowak"), ("Joseph Okafor", "joseph.okafor"),
    (None, "casual.worker"), ("Caitlin Doyle", "caitlin.doyle"), ("Marco Bianchi", "marco.bianchi"),
    ("Zahra Ahmadi", "zahra.ahmadi"), ("Liam Gallagher-Reid", "liam.reid"), ("Tui Marama", "tui.marama"),
    ("", "agency.worker"), ("Alinta Roberts", "alinta.roberts"),
)  # fmt: skip

# A person who left the scheme, and people around the participants: none of them gets a page.
OTHERS: Final[tuple[tuple[str | None, str, str], ...]] = (
    ("Gordon Whitlock", "gordon.whitlock", "USER"), ("Maree Thompson", "maree.thompson", "USER"),
    ("Quang Tran", "quang.tran", "USER"), (None, "signup.unfinished", "USER"), ("Sonia Mancuso", "s.mancuso", "USER"),
    ("Patricia Hale", "patricia.hale", "NDIA_ADMIN"), ("Owen Griffiths", "owen.griffiths", "NDIA_ADMIN"),
)  # fmt: skip

_DOMAINS: Final = ("example.org", "example.com", "example.net")
_WORKER_STATUSES: Final = ("VERIFIED",) * 10 + (
    "PENDING_ONBOARDING", "ONBOARDING_IN_PROGRESS", "SUSPENDED", "REJECTED",
)  # fmt: skip
_ONBOARDING: Final = {
    "VERIFIED": "COMPLETED", "PENDING_ONBOARDING": "NOT_STARTED", "ONBOARDING_IN_PROGRESS": "IN_PROGRESS",
    "SUSPENDED": "COMPLETED", "REJECTED": "FAILED",
}  # fmt: skip


def participant_id(number: int) -> str:
    """Return the "User" id of the participant at `number`."""
    return cuid("participant", number)


def provider_id(number: int) -> str:
    """Return the "User" id of the provider at `number`."""
    return cuid("provider", number)


def plan_manager_id(number: int) -> str:
    """Return the "User" id of the plan manager at `number`."""
    return cuid("plan manager", number)


def worker_user_id(number: int) -> str:
    """Return the "User" id behind the worker at `number`."""
    return cuid("worker user", number)


def worker_id(number: int) -> str:
    """Return the "Worker" id of the worker at `number`."""
    return cuid("Worker", number)


def former_participant_id() -> str:
    """Return the "User" id of the person whose plan outlived the role PARTICIPANT."""
    return cuid("other", 0)


def users() -> tuple[Row, ...]:
    """Return all rows of "User"."""
    people: list[tuple[str, str | None, str, str]] = []
    people += [(participant_id(n), name, mail, "PARTICIPANT") for n, (name, mail) in enumerate(PARTICIPANTS)]
    people += [(provider_id(n), name, mail, "PROVIDER") for n, (name, mail) in enumerate(PROVIDERS)]
    people += [(plan_manager_id(n), name, mail, "PLAN_MANAGER") for n, (name, mail) in enumerate(PLAN_MANAGERS)]
    people += [(worker_user_id(n), name, mail, "USER") for n, (name, mail) in enumerate(WORKERS)]
    people += [(cuid("other", n), name, mail, role) for n, (name, mail, role) in enumerate(OTHERS)]
    return tuple(_user(n, *person) for n, person in enumerate(people))


def workers() -> tuple[Row, ...]:
    """Return all rows of "Worker"."""
    return tuple(_worker(n, status) for n, status in enumerate(_WORKER_STATUSES))


def _user(number: int, user_id: str, name: str | None, mail: str, role: str) -> Row:
    rng = dice("User", number)
    suburb, state, postcode = SUBURBS[number % len(SUBURBS)]
    created = moment(rng.randrange(200, 900), rng)
    return {
        "id": user_id,
        "name": name,
        "email": f"{mail}@{_DOMAINS[number % len(_DOMAINS)]}",
        "emailVerified": created + timedelta(hours=2) if number % 7 else None,
        "image": f"https://cdn.example.org/{secret('image', number)}.jpg" if number % 3 else None,
        "passwordHash": f"$2b$12${secret('passwordHash', number)}",
        "role": role,
        "ndisPlanId": secret("ndisPlanId", number) if role == "PARTICIPANT" else None,
        "providerRegistrationId": secret("providerRegistrationId", number) if role == "PROVIDER" else None,
        "twoFactorEnabled": number % 4 == 0,
        "twoFactorSecret": secret("twoFactorSecret", number) if number % 4 == 0 else None,
        "twoFactorConfig": Jsonb({"issuer": secret("twoFactorConfig", number)}) if number % 4 == 0 else None,
        "twoFactorBackupCodes": [secret("twoFactorBackupCodes", number), secret("twoFactorBackupCodes", 9000 + number)],
        "webauthnChallenge": secret("webauthnChallenge", number) if number % 5 == 0 else None,
        "createdAt": created,
        "updatedAt": moment(rng.randrange(1, 200), rng),
        "phone": f"0491 570 156 {secret('phone', number)}",
        "dateOfBirth": moment(rng.randrange(7000, 29000), rng) if role == "PARTICIPANT" else None,
        "ndisNumber": f"43{secret('ndisNumber', number)}" if role == "PARTICIPANT" else None,
        "medicareNumber": secret("medicareNumber", number) if role == "PARTICIPANT" else None,
        "address": f"{secret('address', number)}, {suburb} {state} {postcode}",
        "emergencyContact": Jsonb({"name": secret("emergencyContact", number), "relation": "sister"}),
        "profilePhoto": f"\x89PNG {secret('profilePhoto', number)}".encode("latin-1"),
        "internalNotes": secret("internalNotes", number),
        "lastLoginAt": moment(rng.randrange(60), rng) if number % 6 else None,
        "loginCount": rng.randrange(400),
    }


def _worker(number: int, status: str) -> Row:
    rng = dice("Worker", number)
    return {
        "id": worker_id(number),
        "userId": worker_user_id(number),
        "role": ("Support worker", "Occupational therapist", None, "Registered nurse")[number % 4],
        "status": status,
        "onboardingStatus": _ONBOARDING[status],
        "employerId": provider_id(number % len(PROVIDERS)),
        "createdAt": moment(rng.randrange(200, 700), rng),
        "updatedAt": moment(rng.randrange(1, 200), rng),
        "taxFileNumber": secret("taxFileNumber", number),
        "policeCheckReference": secret("policeCheckReference", number),
        "hourlyRate": f"{rng.randrange(3400, 5900) / 100:.2f}",
        "qualifications": ["Certificate III", secret("qualifications", number)],
        "screeningDocument": secret("screeningDocument", number).encode(),
        "internalNotes": secret("internalNotes", number),
    }

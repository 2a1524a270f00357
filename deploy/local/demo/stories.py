"""The demo's texts: what happened, who complained about what, and what could go wrong."""

from __future__ import annotations

from typing import Final

INCIDENTS: Final = (
    "Slipped on a wet bathroom floor while transferring to the shower chair. No injury; ice pack offered and declined.",
    "Medication round was 50 minutes late. GP rang back and said to give the dose and watch for drowsiness.",
    "Taxi did not turn up. Waited 40 min at the station in the rain without the wheelchair cover. 🌧️",
    "Verbal altercation at the day program. Staff used the calm-down plan; both people were fine after lunch.",
    "Found a bruise (approx. 3 cm) on the left forearm during personal care. Cause not known.",
    "Choked on a piece of toast, coughed it up by themselves. Mealtime plan says to cut the crusts off.",
    "Missed seizure medication at camp.\n\nWhat we did:\n  1. rang 000\n  2. rang Mum\n  3. stayed\n\nOK by 21:15.",
    "Hoist sling strap frayed. Taken out of use, tag no. 0117, new one ordered.",
    "Left the house alone at night; found safe by neighbours two streets away.",
    "Worker's car was hit from behind in the car park with the participant on board; nobody hurt.",
    "Power outage for 3 h: ventilator ran on battery. Generator arrived with 20 minutes to spare. ⚡🔋",
    "Money missing from purse ($45). Police event number taken.",
)

COMPLAINTS: Final = (
    "Different worker every week. I have to explain my routine again and again.",
    "Invoice lists four hours, but the worker left after three.",
    "Nobody answers the phone after five o'clock, the answering machine is full.",
    "The ramp that was promised in February is still not there.",
    "My son came home with someone else's tablets in his bag!!!",
    "Staff talk over me and to my sister instead of to me. I am 43.",
    "The bus smells of smoke.",
    "They shared my phone number in a group chat without asking. 😡",
    "Cancelled with 20 minutes' notice, third time this month, and I was charged.",
    "Ramadan meal times were ignored although they stand in the plan.",
)

RISKS: Final = (
    ("Falls in bathroom", "Clinical", "No grab rail on the left side; floor gets slippery."),
    ("Single worker knows the PEG feeding routine", "Workforce", "Leave or illness would leave nobody trained."),
    ("Choking at meals", "Clinical", "Eats quickly when upset. Soft diet, level 5."),
    ("Budget will run out before the review", "Financial", "At the present rate about seven weeks early."),
    ("House on bushfire-prone land 🔥", "Environmental", "Evacuation needs 90 minutes and a wheelchair taxi."),
    ("Wandering at night", "Safety", "Door sensor has been switched off twice."),
    ("Shared login to the rostering tablet", "Privacy & records", "Everybody on shift uses one PIN."),
    ("Carer strain", "Family", "Mother (71) lifts without the hoist when she is alone."),
    ("Pressure injury", "Clinical", "New cushion is on back order until August."),
    ("Expired worker screening", "Compliance", "Two checks lapse in the same month."),
)

MULTI_LINE: Final = "Line one\n\n\tindented line three\r\nfour after a carriage return\n  – trailing spaces follow   "
RIGHT_TO_LEFT: Final = "سقطت السيدة في الحديقة. لم تُصب بأذى، ثم اتصلنا بالعائلة (0491 570 156) وشكرونا 🌷"
MIXED_DIRECTIONS: Final = "הוא אמר: “I'm fine” ואז חזר לחדר. Worker said OK."
COMBINING: Final = (
    "Cafe\u0301 visit with Zoe\u0308: nai\u0308ve waiter, 👩🏽‍🦽‍➡️ ramp blocked, "
    "n\u0303andu\u0301 on the menu. Z̷̢a̸l̵g̶o̷ T-shirt."
)
EMPTY: Final = ""
BLANK: Final = " \n\t "
MARKUP: Final = "**not bold** <script>alert('no')</script> [link](https://example.org) \\n {{name}} \"quoted\" 50 % \\"


def long_account() -> str:
    """Return a shift log of more than 2,000 UTF-16 units in which an emoji lies across the 2,000th."""
    log = ["Shift log, copied from the paper diary because the tablet was flat.", ""]
    hour = 7
    for note in (*INCIDENTS, *INCIDENTS):
        log.append(f"{hour:02d}:{(hour * 17) % 60:02d} {_plain(note)}")
        hour = hour % 23 + 1
        if len("\n".join(log)) > 1700:
            break
    log += ["", "Read to the participant, who agrees with every word. Signed: "]
    opening = "\n".join(log)
    # dotted up to 1,999 units: a cut at 2,000 would halve the heart
    return opening.ljust(1999, ".") + "💙\n\nLater that day: " + " ".join(COMPLAINTS) + " 👨‍👩‍👧‍👦🦘" * 20


def _plain(note: str) -> str:
    # before the heart every character is one unit, so that it sits where the test of the cut needs it
    return "".join(c for c in note.replace("\n", " ") if ord(c) < 0x2000)

"""`mapable-cdc doctor` and `uninstall`: before the first start, and after the last."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

import click
from rich.text import Text

from cdc import publishing
from cdc.cli import terminal
from cdc.cli.terminal import EXIT_FINDINGS, WrongUsage, out, settings_of
from cdc.operate.doctor import examine
from cdc.operate.findings import Finding, Severity, report, statements, troubles
from cdc.operate.uninstalling import uninstall as remove

MARKS: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.OK: "green"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--fix-sql", is_flag=True, help="Print the SQL that mends what was found, and nothing else.")
@click.option("--try-slot", is_flag=True, help="Make a temporary slot for a moment, to learn whether the plugin works.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, fix_sql: bool, try_slot: bool) -> None:
    """Look at everything the sync needs, in Postgres and in Notion, before the first start or any time after.

    Says what was found, why it matters and how to mend it. Changes nothing on either side; with --try-slot a temporary
    slot is made, which goes at once. Works while the database or Notion is down: that is a finding.

    \b
    Example: mapable-cdc doctor --fix-sql
    Exit codes: 0 nothing found, 1 findings, 2 wrong settings.
    """
    if as_json and fix_sql:
        raise WrongUsage("--json and --fix-sql exclude each other", "Give one of them: --json holds the SQL, too.")
    findings = terminal.run(examine(settings_of(ctx), try_slot=try_slot))
    found = troubles(findings)
    if as_json:
        click.echo(json.dumps(report(findings)))
    elif fix_sql:
        for line in statements(found):
            click.echo(line)
    else:
        _show(findings)
    sys.exit(EXIT_FINDINGS if found else 0)


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        out.print(Text.assemble((f"{finding.severity:<8}", MARKS[finding.severity]), finding.what), soft_wrap=True)
        for title, text in (("why", finding.why), ("to do", finding.fix)):
            if text:
                out.print(f"        {title}: {text}", soft_wrap=True)
        for line in finding.sql:
            out.print(f"          {line}", soft_wrap=True)
    errors, warnings = (
        sum(each.severity is severity for each in findings) for severity in (Severity.ERROR, Severity.WARNING)
    )
    out.print(f"{errors} to mend, {warnings} to improve." if errors or warnings else "Nothing found.")


@click.command()
@click.option("--drop-schema", metavar="SCHEMA", help="Drop the sidecar's schema, too; its name has to be given.")
@click.pass_context
def uninstall(ctx: click.Context, drop_schema: str | None) -> None:
    """Drop the replication slot, its publication and, with --drop-schema, all that the sync keeps in the database.

    Without the schema the links between rows and pages, the audit log and what both sides agreed on stay, and a later
    `run` goes on with them. With it they are gone for good. Refused while a `run` is active.

    \b
    Example: mapable-cdc uninstall --drop-schema notion_sync
    Exit codes: 0 gone, or there was nothing; 2 wrong usage or settings; 3 a `run` is active, or the database can't be
    reached.
    """
    settings = settings_of(ctx)
    if drop_schema is not None and drop_schema != settings.state_schema:
        raise WrongUsage(
            "--drop-schema names another schema than the sidecar's",
            f"The sidecar's schema is {settings.state_schema} (STATE_SCHEMA): name that one, or leave the option out.",
        )
    removed = terminal.run(remove(settings, with_schema=drop_schema is not None))
    slot, schema = settings.replication_slot, settings.state_schema
    out.print(f"The slot {slot} is dropped." if removed.slot else f"There is no slot {slot}.", soft_wrap=True)
    if removed.publication:
        out.print(f"The publication {slot} is dropped.", soft_wrap=True)
    elif removed.publication is None:
        out.print(publishing.REMAINS.format(slot), soft_wrap=True)
    if removed.schema:
        out.print(f"The schema {schema} is dropped.", soft_wrap=True)
    elif drop_schema is not None:
        out.print(f"There is no schema {schema}.", soft_wrap=True)
    else:
        out.print(f"What remains: the schema {schema}; to drop it, --drop-schema {schema}.", soft_wrap=True)
    for line in REMAINS:
        out.print(line, soft_wrap=True)


REMAINS: Final = (
    "What remains: the databases in Notion, as they are; trash them there if nobody needs them.",
    "What remains: the connection and its webhook subscription; delete them in Notion's settings.",
    "What remains: the role with its rights; take REPLICATION from it, or drop it.",
)

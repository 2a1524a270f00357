"""What doctor finds in Notion, each provoked in the stand-in; and what the sidecar tells of it."""

from __future__ import annotations

from tests.integration.doctor.ward import Ward


async def test_a_token_that_is_refused_is_told_without_it(ward: Ward) -> None:
    found = await ward.with_settings(NOTION_API_KEY="ntn_of_somebody_else").found()

    assert set(found) == {"notion.token"}
    assert "401" in found["notion.token"].what
    assert "ntn_" not in repr(found)


async def test_notion_that_is_down_is_a_finding_and_the_database_is_looked_at_all_the_same(ward: Ward) -> None:
    ward.sandbox.switches.update({"outage": True})
    await ward.run('drop table "Risk"')

    assert set(await ward.found()) == {"notion.unreachable", "table.missing"}


async def test_an_address_where_nobody_listens_is_a_finding(ward: Ward) -> None:
    found = await ward.with_settings(NOTION_BASE_URL="http://127.0.0.1:9").found()

    assert found["notion.unreachable"].what == "no connection to Notion"


async def test_a_missing_capability_to_read_is_told(ward: Ward) -> None:
    ward.sandbox.switches.update({"read_content": False})

    found = await ward.found()

    assert "may not read" in found["notion.capabilities"].what
    assert "read, update and insert content" in found["notion.capabilities"].fix


async def test_a_connection_that_may_not_read_comments_is_told(ward: Ward) -> None:
    ward.sandbox.switches.update({"read_comments": False})

    assert set(await ward.found()) == {"notion.comments"}


async def test_a_connection_that_was_refused_a_comment_is_told(ward: Ward) -> None:
    await ward.run("insert into notion_sync.setting (name, value) values ('comments', '{\"allowed\": false}')")

    found = await ward.found()

    assert "not allowed to write a comment" in found["notion.comments"].what


async def test_a_database_that_is_not_shared_is_told(ward: Ward) -> None:
    ward.sandbox.people.unshare(_database(ward, "Risks"))

    [what] = await ward.found_of("notion.database")

    assert "Risks is not shared" in what


async def test_a_database_in_the_trash_is_told(ward: Ward) -> None:
    ward.sandbox.people.trash(_database(ward, "Risks"))

    [what] = await ward.found_of("notion.database")

    assert what == "the database Risks is in Notion's trash: restore it there"


async def test_a_property_that_is_removed_or_retyped_is_told(ward: Ward) -> None:
    ward.sandbox.people.remove_property("Risks", "Category")
    ward.sandbox.people.retype_property("Incidents", "Description", "number")

    removed, retyped = sorted(await ward.found_of("notion.property"), key=lambda what: "was removed" not in what)

    assert "the property Category of Risks was removed" in removed
    assert "Description of Incidents has the type number" in retyped


async def test_options_that_are_removed_are_told(ward: Ward) -> None:
    ward.sandbox.people.remove_option("Risks", "Risk Level", "HIGH")

    assert await ward.found_of("notion.options") == ["Risk Level of Risks lacks the options HIGH"]


async def test_what_people_rename_is_no_finding(ward: Ward) -> None:
    ward.sandbox.people.rename_property("Risks", "Category", "Kind")
    ward.sandbox.people.rename_option("Risks", "Risk Level", "HIGH", "Terrible")

    assert await ward.found() == {}


async def test_clocks_that_are_apart_are_told(ward: Ward) -> None:
    ward.sandbox.switches.update({"clock_offset_s": 90.0})

    found = await ward.found()

    assert found["notion.clock"].what in {f"the database's clock is {s} s behind Notion's" for s in (89, 90, 91)}


async def test_a_parent_page_that_is_not_shared_is_told_before_setup(newcomer: Ward) -> None:
    newcomer.sandbox.people.unshare(newcomer.sandbox.parent_page_id)

    found = await newcomer.found()

    assert "not shared" in found["notion.parent"].what
    assert "••• > Connections" in found["notion.parent"].fix


async def test_a_parent_page_in_the_trash_is_told_before_setup(newcomer: Ward) -> None:
    newcomer.sandbox.people.trash(newcomer.sandbox.parent_page_id)

    assert "trash" in (await newcomer.found())["notion.parent"].what


async def test_a_setting_that_names_no_database_is_told_before_setup(newcomer: Ward) -> None:
    found = await newcomer.with_settings(NOTION_RISKS_DB_ID="a" * 32).found()

    assert "NOTION_RISKS_DB_ID names no database" in found["notion.database"].what


async def test_without_webhooks_and_polling_it_is_told_that_edits_are_found_late(ward: Ward) -> None:
    found = await ward.with_settings(NOTION_POLL_SECONDS="0").found()

    assert "polling is off" in found["webhook.none"].what


async def test_a_subscription_that_is_half_made_is_told(ward: Ward) -> None:
    await ward.types("webhook", "await")

    assert set(await ward.found()) == {"webhook.awaited"}


async def test_a_subscription_of_which_nothing_comes_is_told_until_something_does(ward: Ward) -> None:
    await ward.run("insert into notion_sync.setting (name, value) values ('webhook_token', '{\"token\": \"geheim\"}')")
    found = await ward.found()
    assert set(found) == {"webhook.silent"}
    assert "geheim" not in repr(found)

    await ward.run(
        "insert into notion_sync.inbox (event_id, happened_at, kind, entity_type, entity_id, attempt)"
        " values ('e', now(), 'page.created', 'page', 'p', 1)"
    )

    assert await ward.found() == {}


async def test_a_sidecar_of_a_newer_version_is_told_and_not_read(ward: Ward) -> None:
    await ward.run("insert into notion_sync.migration (number, name) values (999, '999_tomorrow.sql')")

    assert "newer version" in (await ward.found())["sidecar.newer"].what


async def test_a_sidecar_that_was_copied_from_another_database_is_told(ward: Ward) -> None:
    await ward.run(
        "insert into notion_sync.setting (name, value)"
        " select 'cluster', jsonb_build_object('database', current_database(), 'system identifier',"
        " system_identifier::text, 'timeline', timeline_id::text) from pg_control_system(), pg_control_checkpoint()"
    )
    assert await ward.found() == {}

    await ward.run("update notion_sync.setting set value = value || '{\"database\": \"prod\"}' where name = 'cluster'")

    assert set(await ward.found()) == {"sidecar.copied"}


async def test_a_standby_that_was_promoted_is_told_with_the_way_on(ward: Ward) -> None:
    await ward.run(
        "insert into notion_sync.setting (name, value)"
        " select 'cluster', jsonb_build_object('database', current_database(), 'system identifier',"
        " system_identifier::text, 'timeline', '77') from pg_control_system()"
    )

    (found,) = (await ward.found()).values()

    assert "(timeline changed), so nothing is sent" in found.what
    assert "mapable-cdc adopt --failover" in found.fix


async def test_a_sidecar_of_an_older_version_is_not_read(ward: Ward) -> None:
    await ward.run("delete from notion_sync.migration where number > 1", "drop table notion_sync.inbox")

    assert set(await ward.found()) == {"notion.setup"}


async def test_a_database_that_is_down_is_a_finding_and_notion_is_looked_at_all_the_same(ward: Ward) -> None:
    ward.sandbox.people.unshare(ward.sandbox.parent_page_id)

    found = await ward.with_settings(DATABASE_URL="postgresql://lea:geheim@127.0.0.1:9/m").found()

    assert {"database.unreachable", "notion.parent"} <= set(found)
    assert "geheim" not in repr(found)


def _database(ward: Ward, title: str) -> str:
    return next(str(each["id"]) for each in ward.sandbox.people.databases() if each["title"] == title)

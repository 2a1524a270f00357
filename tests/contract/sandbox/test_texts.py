"""Rich text: completed on read, kept to the letter, measured in UTF-16 units."""

from __future__ import annotations

from deploy.sandbox.server import Sandbox
from tests.contract.sandbox.shapes import Api, Notion, Table, plain, read_back, refusal, text

PLAIN_ANNOTATIONS = {
    "bold": False,
    "italic": False,
    "strikethrough": False,
    "underline": False,
    "code": False,
    "color": "default",
}


async def test_rich_text_reads_back_complete(notion: Notion, people_table: Table) -> None:
    written = [
        {"text": {"content": "bold "}, "annotations": {"bold": True, "color": "red_background"}},
        {"type": "text", "text": {"content": "link", "link": {"url": "https://example.org"}}},
    ]

    items = await read_back(notion, people_table, "System ID", {"rich_text": written})

    assert items == [
        {
            "type": "text",
            "text": {"content": "bold ", "link": None},
            "annotations": {**PLAIN_ANNOTATIONS, "bold": True, "color": "red_background"},
            "plain_text": "bold ",
            "href": None,
        },
        {
            "type": "text",
            "text": {"content": "link", "link": {"url": "https://example.org"}},
            "annotations": PLAIN_ANNOTATIONS,
            "plain_text": "link",
            "href": "https://example.org",
        },
    ]
    assert await read_back(notion, people_table, "System ID", {"rich_text": items}) == items


async def test_mentions_have_the_name_as_their_text(sandbox: Sandbox, notion: Notion, people_table: Table) -> None:
    person = sandbox.state.person("Mei Chen")["id"]
    written = [{"mention": {"user": {"id": person}}}, *text(" called")]

    items = await read_back(notion, people_table, "System ID", {"rich_text": written})

    assert plain(items) == "@Mei Chen called"
    assert items[0]["type"] == "mention"


async def test_text_is_kept_to_the_letter(notion: Notion, people_table: Table) -> None:
    content = " two  spaces, tab\t, line\n, emoji 👩🏽‍⚕️, e\u0301, nul \u0000 "

    answer = await read_back(notion, people_table, "System ID", {"rich_text": text(content)})

    assert plain(answer) == content


async def test_a_lone_surrogate_travels_escaped(api: Api, people_table: Table) -> None:
    values = {"Name": {"title": text("cut \ud83d")}}

    answer = await api(
        "POST", "/v1/pages", {"parent": {"data_source_id": people_table.source_id}, "properties": values}
    )

    assert '"plain_text":"cut \\ud83d"' in answer.text


async def test_empty_text_reads_back_as_no_items(notion: Notion, people_table: Table) -> None:
    assert await read_back(notion, people_table, "System ID", {"rich_text": text("")}) == []


async def test_text_is_measured_in_utf16_units(notion: Notion, people_table: Table) -> None:
    await read_back(notion, people_table, "System ID", {"rich_text": text("x" * 1998 + "😀")})

    message = await refusal(notion, people_table, "System ID", {"rich_text": text("x" * 1999 + "😀")})

    assert (
        "body failed validation: body.properties.System ID.rich_text[0].text.content.length "
        "should be ≤ `2000`, instead was `2001`." in message
    )

-- Two-way: what people did that is not settled yet, and what they have to decide.

alter table "NotionSyncMapping"
    -- per field {"value": what Notion showed, "since": when first seen, "reason": why MapAble does not take it}
    add column refused jsonb not null default '{}',
    -- the last write to the page {"fields": {field: {"seen", "sent"}}, "readAt", "wroteAt"}: edits that it crossed
    add column written jsonb,
    -- why the link is 'unlinked': trashed, gone (purged or unshared, which look alike), moved
    add column "unlinkedBecause" text;

create table conflict (
    id              bigint generated always as identity primary key,
    "entityType"    text not null,
    "systemId"      text not null,
    page_id         text not null,
    field           text not null,
    base            jsonb,
    mapable         jsonb,
    notion          jsonb,
    mapable_at      timestamptz,
    notion_at       timestamptz,
    notion_by       text,
    -- why it is a person's to decide: manual-review, or ping-pong (both sides kept changing it)
    rule            text not null,
    -- deciding: a person chose, and the choice is on its way; void when a side has moved since
    status          text not null default 'open'
        check (status in ('open', 'deciding', 'resolved', 'converged')),
    choice          text check (choice in ('mapable', 'notion', 'value')),
    value           jsonb,
    version         integer not null default 1,
    opened_at       timestamptz not null default clock_timestamp(),
    closed_at       timestamptz,
    closed_by       text
);

-- one at a time per field; a closed one stays for the record
create unique index conflict_open on conflict ("entityType", "systemId", field) where status in ('open', 'deciding');
create index conflict_opened on conflict (opened_at) where status in ('open', 'deciding');
create index mapping_conflicts on "NotionSyncMapping" ("conflictState") where "conflictState" = 'pending';

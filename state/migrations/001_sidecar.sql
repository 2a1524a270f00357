-- The sidecar: what both sides last agreed on, what is still to be compared, and how far capture got.
-- Runs inside the sidecar's schema (search_path is set by state.migrations).

create table "NotionSyncMapping" (
    "entityType"        text not null,
    "systemId"          text not null,
    "notionPageId"      text unique,
    "notionDatabaseId"  text,
    "lastSyncedAt"      timestamptz,
    "syncDirection"     text not null default 'both'
        check ("syncDirection" in ('to_notion', 'from_notion', 'both')),
    "conflictState"     text not null default 'none'
        check ("conflictState" in ('none', 'pending', 'resolved')),
    -- intended: a create was about to be sent, its outcome is unknown; trashed: the row is gone and so is the
    -- page (a tombstone, ids only); unlinked: a person took the page away; ambiguous: two pages, one System ID
    "pageState"         text not null default 'intended'
        check ("pageState" in ('intended', 'live', 'trashed', 'unlinked', 'ambiguous')),
    "intendedAt"        timestamptz,
    -- per field {"sent": our value as sent, "got": what Notion answered to that very write}
    base                jsonb not null default '{}',
    -- values on their way: until an observed answer clears them, seeing one of them is not a person's edit
    pushing             jsonb,
    -- per field the reason why its value can't be held by Notion
    "leftOut"           jsonb not null default '{}',
    "sentAt"            timestamptz,
    "sendIntervalS"     real not null default 0,
    "pageEditedAt"      timestamptz,
    primary key ("entityType", "systemId")
);

create sequence work_gen;
create sequence work_fence;

create table work (
    entity      text not null,
    system_id   text not null,
    gen         bigint not null default nextval('work_gen'),
    reasons     smallint not null,
    priority    smallint not null,
    -- the newest source transaction that marked the key: the key may only be cleared after a read that saw it
    xid         xid8,
    marked_at   timestamptz not null default clock_timestamp(),
    -- when it may be claimed; while claimed, when the lease ends
    due_at      timestamptz not null default clock_timestamp(),
    -- a new mark never makes the key due before this (a hot key is sent at most so often)
    not_before  timestamptz not null default '-infinity',
    attempts    integer not null default 0,
    fence       bigint,
    primary key (entity, system_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index work_due on work (priority, due_at);

create table parked (
    entity      text not null,
    system_id   text not null,
    reason      text not null,
    message     text not null,
    attempts    integer not null,
    parked_at   timestamptz not null default clock_timestamp(),
    primary key (entity, system_id)
);

-- children whose relation waits for a page of the target
create table pending_relation (
    target_entity   text not null,
    target_id       text not null,
    entity          text not null,
    system_id       text not null,
    primary key (target_entity, target_id, entity, system_id)
);

-- the name that pages show for a looked-up row, as a digest
create table lookup_seen (
    kind        text not null,
    system_id   text not null,
    digest      bytea not null,
    primary key (kind, system_id)
);

create table data_source (
    entity          text primary key,
    database_id     text not null unique,
    data_source_id  text not null unique,
    -- field key -> property id
    properties      jsonb not null,
    -- when its existing pages were looked through for System IDs
    scanned_at      timestamptz
);

-- a marking of every row and every link of an entity that is under way
create table marking (
    entity      text primary key,
    phase       text not null default 'rows' check (phase in ('rows', 'links')),
    after_id    text not null default '',
    marked      bigint not null default 0
);

create table stream_position (
    slot        text primary key,
    position    pg_lsn not null
);

-- requests that may have been sent to Notion, in small blocks, written before they are
create table request_window (
    taken_at    timestamptz not null default clock_timestamp(),
    requests    integer not null
);

create table setting (
    name        text primary key,
    value       jsonb not null
);

create table audit_log (
    id              bigint generated always as identity primary key,
    at              timestamptz not null default clock_timestamp(),
    action          text not null,
    entity          text not null,
    system_id       text not null,
    participant_id  text,
    page_id         text,
    properties      text[] not null default '{}',
    actor           text not null,
    request_id      text,
    detail          jsonb
);

create index audit_log_participant on audit_log (participant_id, id);
create index audit_log_key on audit_log (entity, system_id, id);

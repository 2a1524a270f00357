-- What webhooks told: durable before Notion gets its 200, and deduplicated, since events may come twice.

create table inbox (
    event_id        text primary key,
    received_at     timestamptz not null default clock_timestamp(),
    happened_at     timestamptz not null,
    kind            text not null,
    entity_type     text not null,
    entity_id       text not null,
    data_source_id  text,
    -- [{"id", "type"}] in Notion's order; several when edits were told together
    authors         jsonb not null default '[]',
    -- ids of the properties that were edited; values are never told
    properties      text[] not null default '{}',
    attempt         integer not null default 1
);

create index inbox_entity on inbox (entity_id, happened_at);
create index inbox_received on inbox (received_at);

-- by age alone: what retention deletes
create index audit_log_at on audit_log (at);

-- a marking that an operator asked for looks at both sides, and goes before a backfill
alter table marking
    add column reasons smallint not null default 1,
    add column priority smallint not null default 2;

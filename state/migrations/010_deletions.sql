-- Rows that are gone: whose page may follow, and whose waits for a person because too many went at once.

create table deletion (
    entity          text not null,
    system_id       text not null,
    page_id         text not null,
    participant_id  text,
    -- what it counts as: the record whose deletion took this one along, or itself
    group_entity    text not null,
    group_id        text not null,
    -- when MapAble committed it
    deleted_at      timestamptz not null,
    -- went: its page may go, or has gone; rejected: a person wants to keep the page. Void once the row is back.
    state           text not null check (state in ('went', 'held', 'approved', 'rejected')),
    at              timestamptz not null default clock_timestamp(),
    primary key (entity, system_id)
);

create index deletion_went on deletion (entity, deleted_at) where state = 'went';
create index deletion_waits on deletion (entity, deleted_at) where state <> 'went';
create index deletion_group on deletion (group_entity, group_id);
create index deletion_participant on deletion (participant_id) where entity = 'ndisplan';

-- What people are told on their pages: an outbox of comments, each written once.

create table explanation (
    id              bigint generated always as identity primary key,
    entity          text not null,
    system_id       text not null,
    participant_id  text,
    page_id         text not null,
    field           text not null,
    -- of the value that is spoken of: what was said of it once is never said again
    digest          text not null,
    -- quotes values; forgotten once it was said, or can't be
    text            text,
    state           text not null default 'waiting' check (state in ('waiting', 'sent', 'dropped')),
    -- set before a comment is sent, cleared when it certainly was not written: until then nobody knows
    begun_at        timestamptz,
    attempts        integer not null default 0,
    queued_at       timestamptz not null default clock_timestamp(),
    -- when it may be sent; while somebody sends it, when others may again
    due_at          timestamptz not null default clock_timestamp(),
    unique (page_id, field, digest)
);

create index explanation_due on explanation (due_at) where state = 'waiting';
create index explanation_quota on explanation (entity, field, queued_at);

-- what was not said one by one, because there was too much of it
create table notice (
    entity      text not null,
    field       text not null,
    unsaid      integer not null,
    since       timestamptz not null default clock_timestamp(),
    last_at     timestamptz not null default clock_timestamp(),
    primary key (entity, field)
);

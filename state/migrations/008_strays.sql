-- Pages in our databases that belong to no row.

create table stray_page (
    page_id         text primary key,
    entity          text not null,
    system_id       text,
    -- copy: its row has another page; new: it names no row; orphan: the row it names is not there; other: see note
    kind            text not null check (kind in ('copy', 'new', 'orphan', 'other')),
    -- why it is what it is, or why no row was made of it, for a person; never a value
    note            text,
    -- a digest of the page as it was judged: one that did not change is not judged again
    facts           bytea not null,
    edited_at       timestamptz,
    first_seen_at   timestamptz not null default clock_timestamp(),
    resolved_at     timestamptz
);

create index stray_page_open on stray_page (first_seen_at) where resolved_at is null;

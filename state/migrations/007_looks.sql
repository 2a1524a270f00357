-- How far Notion was looked at without having been told, and when every page was last compared.

create table look (
    entity              text primary key,
    -- what is known counts for this database only: setup may have made another one
    database_id         text not null,
    -- by Notion's clock: what was edited before this has been seen. null: nothing was
    edited_until        timestamptz,
    -- when the last sweep began; of one that was never swept, when it was first met: all was compared then
    swept_at            timestamptz not null default clock_timestamp(),
    sweep_requested_at  timestamptz,
    -- the last sweep's results: pages read, of them unlike what was agreed, links without their page, strays
    pages               integer,
    differing           integer,
    missing             integer,
    unknown             integer,
    -- why the last attempt to sweep it came to nothing, and when that was
    trouble             text,
    troubled_at         timestamptz
);

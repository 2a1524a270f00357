-- When MapAble last changed a row's mapped columns, as capture saw it in the log.

create table row_stamp (
    entity          text not null,
    system_id       text not null,
    -- four bytes that say which columns follow, then four of each: enough to see a value change, not enough to read it.
    -- Empty once the row is gone
    hashes          bytea not null,
    -- the commit that last changed one of them; null: unknown, and not new
    changed_at      timestamptz,
    -- the same for each column, under timestamp-based only: eight bytes each, microseconds since 1970, zero is unknown
    column_times    bytea,
    deleted_at      timestamptz,
    -- where the log was when the hashes were read from the row and not from the log
    seeded_lsn      pg_lsn,
    primary key (entity, system_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

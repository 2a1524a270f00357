-- What people do to the databases themselves: properties and options that were renamed, removed, retyped, brought back.

alter table data_source
    -- field -> {option id: the label it stands for, whatever people have renamed it to}
    add column options jsonb not null default '{}',
    -- field -> {label: when its option was found gone}: pages that held it show nothing since, and nobody did that
    add column restored jsonb not null default '{}',
    -- field -> why it is neither written nor read now
    add column paused jsonb not null default '{}',
    -- why the database as a whole can't be used now
    add column unavailable text;

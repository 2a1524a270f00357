#!/bin/sh
# Gives the sync's role its password where Postgres starts for the first time (compose.yaml). Not on a command line.
set -eu
psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
\getenv password SYNC_DB_PASSWORD
alter role mapable_cdc password :'password';
SQL

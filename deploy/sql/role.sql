-- The role of mapable-cdc with the least it can work with. Made from the mapping by `python -m deploy.sql.role`.
--
--   psql -d mapable -v role=mapable_cdc -v schema=public -v state_schema=notion_sync -f role.sql
--   psql -d mapable -c '\password mapable_cdc'
--
-- Run it as a superuser; again, whenever the mapping or a line below has changed: it takes back what is not listed.
-- -v create_rows=on adds what NOTION_CREATE_ROWS needs; -v publication=mapable_cdc, the name of REPLICATION_SLOT, makes
-- what REPLICATION_PLUGIN=pgoutput reads (Postgres 15 or newer).
--
-- REPLICATION has no columns: this role, and whoever steals its password, can stream every column of every table of
-- this server's log. With pgoutput the process is sent mapped columns only; with wal2json the others are thrown away in
-- it, before anything is kept.

\set ON_ERROR_STOP on
\if :{?role}
\else
    \set role mapable_cdc
\endif
\if :{?schema}
\else
    \set schema public
\endif
\if :{?state_schema}
\else
    \set state_schema notion_sync
\endif
\if :{?create_rows}
\else
    \set create_rows off
\endif

begin;

select format('create role %I', :'role')
where not exists (select from pg_roles where rolname = :'role') \gexec
alter role :"role" login replication nosuperuser nocreatedb nocreaterole nobypassrls;

-- Its own schema: queue, links, what was agreed, audit log. Not `create` on the database
create schema if not exists :"state_schema" authorization :"role";
select format('grant connect on database %I to %I', current_database(), :'role') \gexec
grant usage on schema :"schema" to :"role";

-- What an earlier version of this file gave
revoke all on all tables in schema :"schema" from :"role";

-- Read: mapped columns, and of people the names that pages show
grant select ("id", "name", "email", "role") on :"schema"."User" to :"role";
grant select ("id", "userId") on :"schema"."Worker" to :"role";
grant select ("id", "planNumber", "participantId", "status", "totalBudget", "remainingBudget", "startDate", "endDate", "planManagerId") on :"schema"."NDISPlan" to :"role";
grant select ("id", "planName", "participantId", "workerId", "status", "startDate", "reviewDate", "goals") on :"schema"."CarePlan" to :"role";
grant select ("id", "incidentType", "occurredAt", "participantId", "description", "status", "ndisReported") on :"schema"."Incident" to :"role";
grant select ("id", "complaintNumber", "participantId", "source", "description", "status", "receivedAt") on :"schema"."Complaint" to :"role";
grant select ("id", "title", "participantId", "riskLevel", "status", "category") on :"schema"."Risk" to :"role";
grant select ("id", "participantId", "providerId", "amount", "status", "serviceCode", "createdAt") on :"schema"."PaymentTransaction" to :"role";

-- Write: two-way columns, and the time of the last change that the application keeps
grant update ("name", "updatedAt") on :"schema"."User" to :"role";
grant update ("planNumber", "status", "totalBudget", "remainingBudget", "startDate", "endDate", "updatedAt") on :"schema"."NDISPlan" to :"role";
grant update ("planName", "status", "startDate", "reviewDate", "updatedAt") on :"schema"."CarePlan" to :"role";
grant update ("incidentType", "description", "occurredAt", "status", "ndisReported", "updatedAt") on :"schema"."Incident" to :"role";
grant update ("complaintNumber", "source", "description", "status", "receivedAt", "updatedAt") on :"schema"."Complaint" to :"role";
grant update ("title", "riskLevel", "status", "category", "updatedAt") on :"schema"."Risk" to :"role";

-- Fields that NOTION_SHARED_FIELDS opens. Take away the dashes before those that yours names
-- grant update ("email") on :"schema"."User" to :"role";
-- grant update ("amount", "status", "serviceCode") on :"schema"."PaymentTransaction" to :"role";

-- Rows for pages that people made
\if :create_rows
    grant insert ("id", "incidentType", "description", "occurredAt", "status", "ndisReported", "updatedAt", "participantId", "reportedBy") on :"schema"."Incident" to :"role";
    grant insert ("id", "complaintNumber", "source", "description", "status", "receivedAt", "updatedAt", "participantId") on :"schema"."Complaint" to :"role";
    grant insert ("id", "title", "riskLevel", "status", "category", "updatedAt", "participantId", "description", "identifiedBy") on :"schema"."Risk" to :"role";
\endif

-- What pgoutput sends. MapAble can't drop these columns, or change their type, while they are listed
\if :{?publication}
    select format('create publication %I', :'publication')
    where not exists (select from pg_publication where pubname = :'publication') \gexec
    alter publication :"publication" set table
        :"schema"."User" ("email", "id", "name", "role"),
        :"schema"."Worker" ("id"),
        :"schema"."NDISPlan" ("endDate", "id", "participantId", "planManagerId", "planNumber", "remainingBudget", "startDate", "status", "totalBudget"),
        :"schema"."CarePlan" ("goals", "id", "participantId", "planName", "reviewDate", "startDate", "status", "workerId"),
        :"schema"."Incident" ("description", "id", "incidentType", "ndisReported", "occurredAt", "participantId", "status"),
        :"schema"."Complaint" ("complaintNumber", "description", "id", "participantId", "receivedAt", "source", "status"),
        :"schema"."Risk" ("category", "id", "participantId", "riskLevel", "status", "title"),
        :"schema"."PaymentTransaction" ("amount", "createdAt", "id", "participantId", "providerId", "serviceCode", "status");
\endif

commit;

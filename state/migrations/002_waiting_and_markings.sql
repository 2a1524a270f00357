-- Each settled child asks for what it waits for, so that has to be found by the child, too.
create index pending_relation_child on pending_relation (system_id, entity);

-- A marking that was begun again is another one: what is under way for the one before must not move it on.
alter table marking add column run bigint not null default nextval('work_gen');

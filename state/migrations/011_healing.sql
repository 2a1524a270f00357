-- How far the slot was told to forget where nothing was marked. Unlogged: what is noted here leaves no trace in the log,
-- which would come back to us and be noted in its turn.
create unlogged sequence acknowledged minvalue 0 start 0;

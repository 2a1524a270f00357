-- Room for a second version of each row in its page: a stamp that changes stays there, and no index learns of it.
alter table row_stamp set (fillfactor = 50);

"""The demo MapAble: an invented application schema and invented people to try the sync with."""

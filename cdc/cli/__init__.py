"""The command line: a module a verb. What is done is elsewhere; here is what can be said, and what is shown."""

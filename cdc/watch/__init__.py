"""What notices that Notion changed: webhooks taken in, polls, sweeps, pages that nobody linked, schemas that drift.

All of it only marks keys; what is done about them is `cdc.reconcile`'s.
"""

"""One record's two sides brought together: the loop that claims keys, the pure decisions, and their effects.

`loop` claims and groups, `reading` reads, `plan` and `merging` decide (pure), `acting` carries out, `settling` and
`absorbing` store what was observed, `returning` says where a key goes when it failed.
"""

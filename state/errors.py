"""The error vocabulary: errors are grouped by what the caller should do, not by where they arose."""

from __future__ import annotations


class SyncError(Exception):
    """Any failure this product names itself. Messages never hold row values, tokens or DSNs."""


class TransientError(SyncError):
    """Wait and try again; nothing was lost."""


class RateLimited(TransientError):
    """The other side asked us to wait `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PoisonError(SyncError):
    """This one piece of work can never succeed as it is: set it aside with its reason and go on."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FatalError(SyncError):
    """Stop; a person must act. `hint` is one imperative sentence that says how."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def internal(error: Exception) -> str:
    """Return what may be said of a fault of ours: its type and place, never its text, which may hold values."""
    place, where = error.__traceback__, "unknown"
    while place is not None:
        where = f"{place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno}"
        place = place.tb_next
    return f"an internal error ({type(error).__name__} at {where}): please report it"

"""Every error this package raises.

SluiceError                 the root: main() catches it once, prints one line, exits 2
├── RecipeError             a recipe that cannot be run as written: file, line, key, value, what would be right
├── InputError              a file, folder or argument from outside that cannot be used
├── PromptError             a prompt file that is missing, broken or asked for an undefined variable
├── LeakError               what is held back for a test lies in what is learnt: nothing is exported
├── StorageError            a database or an output that cannot be read or written (disk full, corrupted, newer version)
└── ProviderError           one call to a model failed
    ├── RequestRejected     final for this request: 400, 404, 422, content policy, context too long
    ├── ServiceStopped      final for the whole run: invalid key (401, 403) or quota gone; the run stops, everything is kept
    │   └── BudgetReached   the recipe's budget leaves no room for the next call
    ├── RateLimited         429: wait, then ask again; spends no attempt
    └── Unavailable         transient: 408, 409, 5xx, 529, reset, timeout, truncated or invalid body
"""

from __future__ import annotations

from pathlib import Path


class SluiceError(Exception):
    """The root. `str(error)` is one line: what was wrong, the value, the place, what would be right."""


class RecipeError(SluiceError):
    """A recipe that cannot be run as written. `place` prints as `FILE:LINE: key`."""

    def __init__(self, message: str, *, file: Path | str | None = None, line: int | None = None, key: str = "") -> None:
        self.message, self.file, self.line, self.key = message, file, line, key
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{place}{key + ': ' if key else ''}{message}")


class InputError(SluiceError):
    """A file, folder or argument from outside that cannot be used."""


class LeakError(SluiceError):
    """Two splits, or a split and a file of the user's own, share what must stand on one side."""


class PromptError(SluiceError):
    """A prompt file that is missing or broken, or that was rendered with a variable missing."""


class StorageError(SluiceError):
    """A database or an output that cannot be read or written."""


class ProviderError(SluiceError):
    """One call to a model failed. `reason` is a stable code that ends up as the candidate's reason; `status` the HTTP status."""

    def __init__(self, message: str, *, reason: str = "provider_error", status: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.status = reason, status


class RequestRejected(ProviderError):
    """The provider will never answer this request: asking again is useless."""


class ServiceStopped(ProviderError):
    """No request of this run will be answered: the run stops after the first such answer, with everything kept."""


class BudgetReached(ServiceStopped):
    """The recipe's budget leaves no room for the worst case of the next call."""


class RateLimited(ProviderError):
    """429. `retry_after_seconds` as the provider said, None when it said nothing."""

    def __init__(
        self, message: str, *, reason: str = "rate_limited", status: int | None = 429, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, reason=reason, status=status)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(ProviderError):
    """A passing fault. `billed` is True when the provider may charge for the call all the same (a timeout after sending)."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "unavailable",
        status: int | None = None,
        retry_after_seconds: float | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, status=status)
        self.retry_after_seconds, self.billed = retry_after_seconds, billed

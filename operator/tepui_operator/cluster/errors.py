"""What an API server answers when it does not do as asked. The loop knows two kinds: worth another try, or not.

TransientError          the world's (tepui_spec.errors)
  UnansweredError            no answer, or one that says: later; with the server's own Retry-After
  NotLeadingError            this replica may not write any more
ApiError                an answer that asking again does not change
  NotFoundError ConflictError GoneError ForbiddenError InvalidError
"""

import json

from tepui_spec.errors import TransientError


class UnansweredError(TransientError):
    """No answer (code 0), or one that says to try again later."""

    def __init__(self, what: str, code: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.code = code
        self.retry_after_s = retry_after_s


class NotLeadingError(TransientError):
    """The right to write is lost."""


class ApiError(Exception):
    """An answer that says no."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message or f"{code} {reason}")
        self.code = code
        self.reason = reason
        """As in the Status object: AlreadyExists, Conflict, Expired, ..."""


class NotFoundError(ApiError):
    """404: no such object, namespace or kind."""


class ConflictError(ApiError):
    """409: it exists already, or is not what it was when it was read."""


class GoneError(ApiError):
    """410: that resourceVersion is too old."""


class ForbiddenError(ApiError):
    """401 or 403: no right, or a quota or policy against it."""


class InvalidError(ApiError):
    """400, 413 or 422: the object as sent cannot be."""


_KINDS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: InvalidError,
    422: InvalidError,
}


def error_of(code: int, body: bytes, retry_after: str | None, what: str) -> ApiError | UnansweredError:
    """The error that an answer is. `what` is the request, for people."""
    reason, message = _said(body)
    text = f"{what}: {message}" if message else f"{what}: HTTP {code}"
    if code in _KINDS:
        return _KINDS[code](code, reason, text)
    if code in (408, 425, 429) or code >= 500:
        return UnansweredError(text, code, _seconds(retry_after))
    return ApiError(code, reason, text)


def _said(body: bytes) -> tuple[str, str]:
    """Reason and message of the Status object in a body; a proxy in between sends what it likes."""
    try:
        status = json.loads(body)
    except ValueError:
        return "", body[:200].decode(errors="replace")
    if not isinstance(status, dict):
        return "", ""
    return str(status.get("reason") or ""), str(status.get("message") or "")


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; a date, which no API server sends, counts as none."""
    return min(float(retry_after), 300.0) if retry_after is not None and retry_after.isdecimal() else None

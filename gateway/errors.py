"""All errors that end a call: whose fault, which status, a stable code, whether to try again.

An error has no place for text. What a client reads is made from the code and from names and
numbers that are ours, so nothing of a prompt or of a provider's answer can travel in it.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.names import Slug

if TYPE_CHECKING:
    from gateway.content import Content


class Fault(StrEnum):
    """Who has to act."""

    CALLER = "caller"
    UPSTREAM = "upstream"
    OURS = "ours"


class Failure(StrEnum):
    """How an attempt at a provider failed: each kind may have a chain of targets of its own."""

    RATE = "rate"  # asked to come back later, or over a quota
    SERVER = "server"  # a server error, a broken or unreadable answer, no connection
    TIMEOUT = "timeout"
    CONTEXT = "context"  # the call is longer than the model takes
    POLICY = "policy"  # the provider's content policy refused it
    AUTH = "auth"  # our key is not accepted
    EMPTY = "empty"  # an answer without any content


class GatewayError(Exception):
    """Base of all errors that end a call.

    Attributes:
        code: a stable name for documents, clients and metrics; never a sentence.
        status: the HTTP status that goes with it.
        retry: whether another attempt, on another target, may succeed.
        after_s: seconds to wait first, where known.
        about: the field, scope or model meant, where there is one.
    """

    fault = Fault.OURS
    retry = False

    def __init__(self, code: str, *, after_s: float | None = None, about: str | None = None) -> None:
        super().__init__(code)
        self.code = Slug(code)
        self.status = CODES[code][0]
        self.after_s = after_s
        self.about = None if about is None else Slug(about)

    @property
    def public(self) -> Slug:
        """The code a client is told: one of the few that clients may rely on. code is finer."""
        return Slug(PUBLIC.get(self.code, self.code))

    @property
    def kind(self) -> Failure | None:
        """How the attempt failed; None where no other target would do better."""
        return KINDS.get(self.code)

    @property
    def message(self) -> str:
        """A sentence for the client, made here."""
        text = CODES[self.code][1]
        if self.about is not None:
            text += f" ({self.about})"
        if self.after_s is not None:
            text += f" Try again in {max(1, round(self.after_s))} s."
        return text


class CallerError(GatewayError):
    """The call cannot be understood or is not offered."""

    fault = Fault.CALLER


class NotAllowed(GatewayError):
    """The key is missing, wrong or may not do this."""

    fault = Fault.CALLER


class NoRoute(GatewayError):
    """No target serves what was asked for."""

    fault = Fault.CALLER


class OverLimit(GatewayError):
    """Money or pace is used up."""

    fault = Fault.CALLER


class ClientGone(GatewayError):
    """The client closed its connection, or reads too slowly to be waited for."""

    fault = Fault.CALLER


class OurError(GatewayError):
    """The gateway cannot serve the call."""

    fault = Fault.OURS


class UpstreamError(GatewayError):
    """The provider failed: it answered a server error, broke off, or could not be reached."""

    fault = Fault.UPSTREAM
    retry = True
    answer: "UpstreamAnswer | None" = None
    """What the provider said; in memory only."""

    @property
    def relayed(self) -> "UpstreamAnswer | None":
        """What of it a caller is given, as it came, in place of an answer of ours."""
        return self.answer if self.answer is not None and self.answer.status >= 400 else None


class UpstreamBusy(UpstreamError):
    """The provider asks to come back later (429, 529)."""


class UpstreamTimeout(UpstreamError):
    """The provider did not answer in time."""


class CredentialDead(UpstreamError):
    """The provider does not accept our key (401, 402, 403)."""

    @property
    def relayed(self) -> None:
        """Nothing: what a provider says of our key is between it and us."""
        return


class UpstreamRefused(UpstreamError):
    """The provider found the call itself at fault (4xx): the same target will not do better.

    A model that takes longer calls may (upstream_context), and a provider with other rules (upstream_policy).
    """

    retry = False


class UpstreamAnswer:
    """A provider's error answer, to be handed to a caller of the same dialect as it came."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: "Content") -> None:
        self.status = status
        self.headers = headers
        self.body = body


CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read."),
    "bad_framing": (400, "The request is not valid HTTP."),
    "cannot_translate": (400, "The provider's own dialect cannot say what this call asks for."),
    "model_lacks": (400, "No model behind this name takes what the call brings."),
    "upstream_context": (400, "The call is longer than the model takes."),
    "upstream_policy": (400, "The provider's content policy refused the call."),
    "invalid_key": (401, "The key is missing or not valid here."),
    "budget_exceeded": (402, "The budget does not cover this call."),
    "unpriced_model": (402, "The price of this model is not known, and calls without a price are refused."),
    "not_allowed": (403, "This key may not do this."),
    "store_not_allowed": (403, "This key may not have the provider store the answer: leave out store."),
    "policy_not_known": (403, "This key asks for a data policy, and this model is not known to have it."),
    "unknown_model": (404, "No such model is offered here."),
    "unknown_path": (404, "No such path is offered here."),
    "method_not_allowed": (405, "This path does not take this method."),
    "request_timeout": (408, "The request did not arrive in time."),
    "idempotency_conflict": (409, "A call with this idempotency key is under way."),
    "body_too_large": (413, "The request is larger than this gateway accepts."),
    "unsupported_media_type": (415, "The request's content type or encoding is not accepted here."),
    "expectation_failed": (417, "This expectation is not supported."),
    "rate_limited": (429, "Too many requests."),
    "too_many_open_calls": (429, "Too many calls are open."),
    "headers_too_large": (431, "The request's headers are larger than this gateway accepts."),
    "client_closed": (499, "The client closed the connection."),
    "client_too_slow": (499, "The client did not read the answer in time."),
    "bug": (500, "The gateway made a mistake. The call was not repeated."),
    "not_implemented": (501, "This is not supported."),
    "upstream_failed": (502, "The provider failed."),
    "upstream_unreachable": (502, "The provider cannot be reached."),
    "upstream_blocked": (502, "The provider's address is not one this gateway may connect to."),
    "upstream_cut": (502, "The provider broke off its answer."),
    "upstream_refused": (502, "The provider refused the call."),
    "upstream_credential": (502, "The provider does not accept the key stored for it."),
    "upstream_garbled": (502, "The provider's answer is not valid."),
    "upstream_too_large": (502, "The provider's answer is larger than this gateway accepts."),
    "upstream_redirect": (502, "The provider answered with a redirect, which is never followed."),
    "upstream_empty": (502, "The provider's answer has no content."),
    "upstream_busy": (503, "The provider is busy."),
    "upstream_resting": (503, "The provider failed before, and is left alone for a moment."),
    "unavailable": (503, "The gateway cannot serve the call now."),
    "overloaded": (503, "The gateway has as many calls as it can hold."),
    "shutting_down": (503, "The gateway is going down."),
    "no_credential": (503, "No key is stored for the provider that serves this model."),
    "upstream_timeout": (504, "The provider did not answer in time."),
}
"""code: status, sentence. docs/errors.md is checked against this table."""

PUBLIC: dict[str, str] = {
    "bad_framing": "bad_request",
    "cannot_translate": "bad_request",
    "model_lacks": "bad_request",
    "upstream_context": "bad_request",
    "upstream_policy": "bad_request",
    "store_not_allowed": "not_allowed",
    "policy_not_known": "not_allowed",
    "too_many_open_calls": "rate_limited",
    "upstream_unreachable": "upstream_failed",
    "upstream_blocked": "upstream_failed",
    "upstream_cut": "upstream_failed",
    "upstream_refused": "upstream_failed",
    "upstream_credential": "upstream_failed",
    "upstream_garbled": "upstream_failed",
    "upstream_too_large": "upstream_failed",
    "upstream_redirect": "upstream_failed",
    "upstream_empty": "upstream_failed",
    "upstream_busy": "unavailable",
    "upstream_resting": "unavailable",
    "overloaded": "unavailable",
    "shutting_down": "unavailable",
    "no_credential": "unavailable",
}
"""Finer codes, and the ones clients are told in their place. Each pair has one status."""

KINDS: dict[str, Failure] = {
    "upstream_busy": Failure.RATE,
    "upstream_failed": Failure.SERVER,
    "upstream_unreachable": Failure.SERVER,
    "upstream_blocked": Failure.SERVER,
    "upstream_cut": Failure.SERVER,
    "upstream_garbled": Failure.SERVER,
    "upstream_too_large": Failure.SERVER,
    "upstream_redirect": Failure.SERVER,
    "upstream_resting": Failure.SERVER,
    "upstream_timeout": Failure.TIMEOUT,
    "upstream_context": Failure.CONTEXT,
    "upstream_policy": Failure.POLICY,
    "upstream_credential": Failure.AUTH,
    "no_credential": Failure.AUTH,
    "upstream_empty": Failure.EMPTY,
}
"""Codes of attempts that another target may make good, and their kinds. All others end the call."""

"""What a refusal of AWS means, in words for a person, and whose fault it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ParamValidationError,
    ReadTimeoutError,
)

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason


@contextmanager
def in_words(what: str, where: str, silent_s: float) -> Iterator[None]:
    """`what` did not happen. Raises `ConnectionTrouble`, or what lies under an exception of the library."""
    try:
        yield
    except ClientError as error:
        raise _refusal(what, where, error) from error
    except ReadTimeoutError as error:
        raise ConnectionTrouble(Reason.TIMEOUT, f"{where} was silent for {silent_s:g} s") from error
    except ConnectTimeoutError as error:
        raise ConnectionTrouble(Reason.TIMEOUT, f"{where} could not be reached in time", sent=False) from error
    except (HTTPClientError, ConnectionError) as error:
        raise _beneath(error) from None
    except ParamValidationError as error:
        raise ConnectionTrouble(Reason.EXPRESSION, f"{what}: {_line(str(error))}", sent=False) from error
    except BotoCoreError as error:
        raise ConnectionTrouble(Reason.BAD_ANSWER, f"{where}: {type(error).__name__}: {_line(str(error))}") from error


def missing(error: ConnectionTrouble) -> bool:
    """Whether what was asked for is not there."""
    return isinstance(error.__cause__, ClientError) and _code(error.__cause__) in _MISSING


def _beneath(error: BotoCoreError) -> Exception:
    """What the system said, under what two libraries made of it."""
    found = error.kwargs.get("error")
    found = getattr(found, "certificate_error", None) or getattr(found, "os_error", None) or found
    return found if isinstance(found, Exception) else error


def _refusal(what: str, where: str, error: ClientError) -> ConnectionTrouble:
    code, said = _code(error), _line(str(error.response.get("Error", {}).get("Message", "")))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    if code in _KEYS:  # what AWS says of a signature repeats the request, its session token as well
        return ConnectionTrouble(Reason.CONNECTION, f"{what}: {where} does not accept the keys ({code})")
    if status >= 500 or code in _TOO_MANY:
        return ConnectionTrouble(Reason.NO_ANSWER, f"{what}: {where} is not able to now ({code}): {said}")
    if code in _OUR_TEXT:
        return ConnectionTrouble(Reason.EXPRESSION, f"{what}: {said} ({code})")
    return ConnectionTrouble(Reason.CONNECTION, f"{what}: {said or status} ({code})")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "")).rpartition("#")[2]


def _line(text: str) -> str:
    return " ".join(text.split())[:500]


_KEYS = frozenset(
    "ExpiredToken ExpiredTokenException IncompleteSignature IncompleteSignatureException InvalidAccessKeyId "
    "InvalidClientTokenId InvalidSecurity InvalidSignatureException MissingAuthenticationToken "
    "MissingAuthenticationTokenException NotAuthorized OptInRequired RequestExpired SignatureDoesNotMatch "
    "UnrecognizedClientException UnrecognizedClient".split()
)
_TOO_MANY = frozenset(
    "KMSThrottled LimitExceededException OverLimit ProvisionedThroughputExceededException RequestLimitExceeded "
    "RequestThrottled Throttled ThrottledException Throttling ThrottlingException TooManyRequestsException".split()
)
_MISSING = frozenset(
    "AWS.SimpleQueueService.NonExistentQueue NotFound NotFoundException QueueDoesNotExist "
    "ResourceNotFoundException".split()
)
_OUR_TEXT = frozenset(
    "InvalidMessageContents InvalidParameter InvalidParameterException InvalidParameterValue MessageTooLong "
    "ValidationError ValidationException".split()
)

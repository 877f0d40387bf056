"""What AWS and botocore refuse, each as one line with what helps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import OpsError

_SIGN_IN = "Sign in (`aws sso login`, AWS_PROFILE=...) and repeat"

# The codes that services give to one and the same thing.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html and each service's own list.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN_KEY = frozenset(
    {"AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_WRONG_CLOCK = frozenset({"RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch"})
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "Client.UnauthorizedOperation"}
    | {"NotAuthorized", "UnauthorizedOperation"}
)
_THROTTLED = frozenset(
    {"LimitExceededException", "PriorRequestNotComplete", "ProvisionedThroughputExceededException"}
    | {"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttling"}
    | {"ThrottledException", "ThrottlingException", "TooManyRequestsException"}
)
_UNAVAILABLE = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "ServerException", "ServiceUnavailable"}
    | {"ServiceUnavailableException", "Unavailable"}
)
_WHO_WHAT_WHERE = re.compile(
    r"(?:User: (?P<user>\S+) is )?not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on resource: (?P<resource>\S+))?"
)

_SIGNED_OUT = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.LoginError,
    aws.NoAuthTokenError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_UNREACHABLE = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ReadTimeoutError,
    aws.ConnectionClosedError,
    aws.ProxyConnectionError,
    aws.SSLError,
)


def explain(error: BotoCoreError | ClientError, environment: str) -> str:
    """One line: the environment, what was refused, what helps."""
    return f"{environment}: {_of_answer(error) if isinstance(error, ClientError) else _of_library(error)}"


@contextmanager
def told_by_aws(environment: str) -> Iterator[None]:
    """Raise `OpsError` with the line for whatever AWS refuses inside."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OpsError(explain(error, environment)) from None


def says(error: ClientError, *codes: str) -> bool:
    """Whether AWS answered with one of these error codes."""
    return _code(error) in codes


def is_throttled(code: str) -> bool:
    """Whether an error code says that too much is asked at once."""
    return code in _THROTTLED


def is_denied(error: ClientError) -> bool:
    """Whether a permission is missing."""
    return _code(error) in _DENIED


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _of_answer(error: ClientError) -> str:
    answer: Mapping[str, object] = error.response.get("Error", {})
    code, message = _code(error), " ".join(str(answer.get("Message", "")).split())
    asked = error.operation_name
    if code in _EXPIRED or (code in _WRONG_CLOCK and "expired" in message.lower() and "token" in message):
        return f"the credentials have expired ({code}). {_SIGN_IN}"
    if code in _UNKNOWN_KEY:
        return f"AWS does not know the credentials ({code}). {_SIGN_IN}"
    if code in _WRONG_CLOCK:
        return (
            f"AWS does not accept the signature ({code}): set this machine's clock (`timedatectl`), or enter "
            "the secret key anew"
        )
    if code in _DENIED:
        return _denied(message, asked)
    if code in _THROTTLED:
        return (
            f"AWS throttles {asked} ({code}), still after several attempts: wait a minute and repeat, or ask "
            "for a higher limit in Service Quotas"
        )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _UNAVAILABLE or status >= 500:
        return (
            f"AWS cannot do {asked} at the moment ({code}), still after several attempts: see "
            "https://health.aws.amazon.com and repeat later"
        )
    return f"AWS refuses {asked} ({code}): {message}"


def _denied(message: str, asked: str) -> str:
    found = _WHO_WHAT_WHERE.search(message)
    user = (found and found["user"]) or "the credentials"
    action = (found and found["action"]) or asked
    resource = f" on {found['resource']}" if found and found["resource"] else ""
    return (
        f"{user} may not do {action}{resource}: ask an administrator for this permission, or choose another "
        "role (AWS_PROFILE=...)"
    )


def _of_library(error: BotoCoreError) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, aws.ProfileNotFound):
        return f"no access to AWS: {text}. `aws configure list-profiles` lists what there is"
    if isinstance(error, _SIGNED_OUT):
        return f"no access to AWS: {text}. {_SIGN_IN}"
    if isinstance(error, _UNREACHABLE):
        return f"AWS cannot be reached: {text}. Check the network, the proxy and the region, then repeat"
    return f"the AWS library fails: {text}"

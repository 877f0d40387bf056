"""Each thing that AWS or botocore refuse is one line with what helps."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from ops.aws.refusals import explain, told_by_aws
from ops.errors import OpsError

SIGN_IN = "Sign in (`aws sso login`, AWS_PROFILE=...) and repeat"


def answer(code: str, message: str = "", *, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "ListTasks")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (aws.NoCredentialsError(), f"prod: no access to AWS: Unable to locate credentials. {SIGN_IN}"),
        (
            aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            "prod: no access to AWS: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY. "
            + SIGN_IN,
        ),
        (aws.UnauthorizedSSOTokenError(), "has expired or is otherwise invalid"),
        (aws.LoginRefreshRequired(), SIGN_IN),
        (
            aws.ProfileNotFound(profile="pord"),
            "prod: no access to AWS: The config profile (pord) could not be found. `aws configure list-profiles` "
            "lists what there is",
        ),
        (
            aws.EndpointConnectionError(endpoint_url="https://ecs.us-east-1.amazonaws.com/"),
            "AWS cannot be reached: Could not connect to the endpoint URL",
        ),
        (answer("ExpiredToken", "The security token is expired"), f"have expired (ExpiredToken). {SIGN_IN}"),
        (
            answer("ExpiredTokenException"),
            f"prod: the credentials have expired (ExpiredTokenException). {SIGN_IN}",
        ),
        (answer("RequestExpired"), "have expired"),
        (answer("UnrecognizedClientException"), "AWS does not know the credentials"),
        (answer("InvalidClientTokenId"), "AWS does not know the credentials"),
        (answer("SignatureDoesNotMatch", "Signature expired: 20261122T010000Z"), "set this machine's clock"),
        (
            answer(
                "AccessDeniedException",
                "User: arn:aws:sts::111122223333:assumed-role/reader/anna is not authorized to perform: "
                "ecs:ListTasks on resource: * because no identity-based policy allows the ecs:ListTasks action",
            ),
            "prod: arn:aws:sts::111122223333:assumed-role/reader/anna may not do ecs:ListTasks on *: ask an "
            "administrator for this permission, or choose another role (AWS_PROFILE=...)",
        ),
        (
            answer("UnauthorizedOperation", "You are not authorized."),
            "prod: the credentials may not do ListTasks: ask",
        ),
        (answer("ThrottlingException", "Rate exceeded"), "AWS throttles ListTasks (ThrottlingException)"),
        (answer("Throttling"), "wait a minute and repeat"),
        (answer("ServiceUnavailable", status=503), "https://health.aws.amazon.com"),
        (answer("Whatever", status=500), "AWS cannot do ListTasks at the moment"),
        (
            answer("ClusterNotFoundException", "Cluster not\n found."),
            "prod: AWS refuses ListTasks (ClusterNotFoundException): Cluster not found.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_refusal_is_one_line_with_what_helps(error: BotoCoreError | ClientError, said: str) -> None:
    line = explain(error, "prod")
    assert said in line
    assert line.startswith("prod: ")
    assert "\n" not in line


def test_what_is_refused_inside_is_raised_as_the_line() -> None:
    with pytest.raises(OpsError, match="throttles"), told_by_aws("prod"):
        raise answer("Throttling")


def test_other_failures_are_not_swallowed() -> None:
    with pytest.raises(KeyError), told_by_aws("prod"):
        raise KeyError("x")

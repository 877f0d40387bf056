from dataclasses import dataclass
from typing import Literal

from aws_cdk import RemovalPolicy
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from platform_constructs.common.permissions import allow
from platform_constructs.delivery.artifact_access import ArtifactAccess


@dataclass(frozen=True, kw_only=True)
class SourceRepositoryProps:
    """`repository` is a name in CodeCommit, or owner/name with the ARN of a connection to GitHub."""

    source: Literal["codecommit", "github"]
    repository: str
    create: bool
    branch: str
    connection_arn: str | None


class SourceRepository(Construct):
    """The one repository of all services, in CodeCommit or on GitHub; a push to its branch starts the pipelines.

    One in CodeCommit outlives the environment that made it: it holds what only people can make, and other environments of
    the account may use it. So its key is that of AWS, which no environment owns and every role of the account that may use
    the repository may use: https://docs.aws.amazon.com/codecommit/latest/userguide/encryption.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        props: SourceRepositoryProps,
    ) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.repository: codecommit.Repository | codecommit.IRepository | None = None
        if props.source == "codecommit" and props.create:
            repository = codecommit.Repository(
                self,
                "Repository",
                repository_name=props.repository,
                description="Sources of the services and of their platform",
            )
            repository.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
            self.repository = repository
        elif props.source == "codecommit":
            self.repository = codecommit.Repository.from_repository_name(self, "Repository", props.repository)

    def grant_fetch(self, role: iam.Role, artifacts: ArtifactAccess) -> None:
        """Let a pipeline's role take commits of the repository."""
        if self.repository is not None:
            allow(
                role,
                "codecommit:GetBranch",
                "codecommit:GetCommit",
                "codecommit:UploadArchive",
                "codecommit:GetUploadArchiveStatus",
                "codecommit:CancelUploadArchive",
                on=self.repository.repository_arn,
            )
            return
        connection = str(self._props.connection_arn)
        # The service was renamed. AWS documents the permission under the prefix of the connection's ARN, and its CDK grants
        # the old one for either: https://docs.aws.amazon.com/dtconsole/latest/userguide/rename.html
        allow(
            role,
            "codestar-connections:UseConnection",
            "codeconnections:UseConnection",
            on=connection,
        )
        # Connections set the owner of what they leave in the bucket.
        allow(role, "s3:PutObjectAcl", on=artifacts.bucket.arn_for_objects("*"))

    def action(self, output: codepipeline.Artifact) -> codepipeline.IAction:
        """The action that takes each commit of the branch, for one pipeline."""
        props = self._props
        if self.repository is not None:
            return actions.CodeCommitSourceAction(
                action_name="Commit",
                repository=self.repository,
                branch=props.branch,
                trigger=actions.CodeCommitTrigger.EVENTS,
                output=output,
                variables_namespace="Source",
            )
        owner, _, name = props.repository.partition("/")
        return actions.CodeStarConnectionsSourceAction(
            action_name="Commit",
            connection_arn=str(props.connection_arn),
            owner=owner,
            repo=name,
            branch=props.branch,
            output=output,
            variables_namespace="Source",
        )

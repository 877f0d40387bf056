"""Delivery and the stacks of pipelines, for both sources and every release controller."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.deployment import inputs
from tests.conftest import Synthesize, built, synthesize
from tests.resources import by_path, of_type, only

WITH_PIPELINES = [name for name in settings.environment_names() if settings.load(name).delivery]
SERVICES = ("customer", "employee")
CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
GITHUB = f'source = "github"\nrepository = "company/microservices"\nbranch = "live"\nconnection_arn = "{CONNECTION}"'

# What each action does with AWS, by provider; of a connection both names of the service, as either may be asked for.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html, and the reference of each action:
# .../action-reference-CodeCommit.html, -CodestarConnectionSource.html, -CodeBuild.html, -ECSbluegreen.html
RIGHTS = {
    "CodeCommit": {
        "codecommit:GetBranch",
        "codecommit:GetCommit",
        "codecommit:UploadArchive",
        "codecommit:GetUploadArchiveStatus",
        "codecommit:CancelUploadArchive",
    },
    "CodeStarSourceConnection": {"codestar-connections:UseConnection", "codeconnections:UseConnection"},
    "CodeBuild": {"codebuild:BatchGetBuilds", "codebuild:StartBuild"},
    "CodeDeployToECS": {
        "codedeploy:CreateDeployment",
        "codedeploy:GetDeployment",
        "codedeploy:GetApplication",
        "codedeploy:GetApplicationRevision",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:GetDeploymentConfig",
        "ecs:RegisterTaskDefinition",
        "iam:PassRole",
    },
    # Its revision has the tags of the one before:
    "Manual": set(),
}
# What the store of artifacts asks of whoever reads it: its bucket and its key.
READING = {"s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketVersioning", "kms:Decrypt"}

Dev = Callable[..., settings.Environment]


@pytest.fixture
def dev(project: Path) -> Dev:
    """The settings of dev with a line of its file replaced."""

    def load(**lines: str) -> settings.Environment:
        file = project / "environments/dev.toml"
        for key, line in lines.items():
            changed = re.sub(rf"^{key} = .*", line, file.read_text(), flags=re.M)
            assert changed != file.read_text(), key
            file.write_text(changed)
        return settings.load("dev", project)

    return load


def pipelines_of(template: Mapping[str, Any]) -> dict[str, Any]:
    found = of_type(template, "AWS::CodePipeline::Pipeline").values()
    return {pipeline["Name"].rpartition("-")[2]: pipeline for pipeline in found}


def stages_of(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    return {stage["Name"]: stage for stage in pipeline["Stages"]}


def actions_of(stage: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """Order, name and provider of a stage's actions."""
    return sorted(
        (action["RunOrder"], action["Name"], action["ActionTypeId"]["Provider"])
        for action in stage["Actions"]
    )


def build_specification(template: Mapping[str, Any], path: str) -> Any:
    projects = by_path(template, path).values()
    (project,) = (each["Properties"] for each in projects if each["Type"] == "AWS::CodeBuild::Project")
    return json.loads(project["Source"]["BuildSpec"])


def statements_of(template: Mapping[str, Any], path: str) -> list[Any]:
    return [
        statement
        for resource in by_path(template, path).values()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]


def test_an_environment_without_the_section_has_no_stack(templates: Synthesize) -> None:
    assert not [stack for stack in templates("local") if stack.startswith("Delivery")]


@pytest.mark.parametrize("source", ["codecommit", "github"])
def test_each_pipeline_is_a_stack_that_comes_after_what_it_releases_and_shares(
    dev: Dev, tmp_path: Path, source: str
) -> None:
    environment = dev(source=GITHUB) if source == "github" else settings.load("dev")
    stacks = {stack.id: stack for stack in built(environment, tmp_path, validated=False).synth().stacks}
    for service in SERVICES:
        stack = stacks[f"Delivery{service.capitalize()}"]
        assert stack.stack_name == f"suppliers-dev-delivery-{service}"
        before = {each.id for each in stack.dependencies}
        assert {"Delivery", service.capitalize()} <= before
        assert not before & {"DeliveryCustomer", "DeliveryEmployee", "Observability"}
        assert list(of_type(stack.template, "AWS::CodePipeline::Pipeline"))
        assert stack.template["Outputs"].keys() == {"PipelineUrl"}
        pipeline = only(of_type(stack.template, "AWS::CodePipeline::Pipeline"))
        assert pipeline["Name"] == f"suppliers-dev-{service}"


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_what_pipelines_share_knows_none_of_them(templates: Synthesize, name: str) -> None:
    shared = templates(name)["Delivery"]
    assert not list(inputs.read(shared))
    assert not re.search(r"customer|employee", json.dumps(shared), re.IGNORECASE)
    # Rights on the key and on the bucket are their users' own.
    for key in of_type(shared, "AWS::KMS::Key").values():
        (statement,) = key["KeyPolicy"]["Statement"]
        assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_a_protected_pipelines_stack_is_kept(templates: Synthesize, name: str, tmp_path: Path) -> None:
    for stack in built(settings.load(name), tmp_path, validated=False).synth().stacks:
        if stack.id.startswith("Delivery"):
            assert stack.termination_protection == settings.load(name).protected


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_each_service_has_a_pipeline_of_the_second_kind(templates: Synthesize, name: str) -> None:
    pipelines = pipelines_of(templates(name).pipelines)
    assert set(pipelines) == set(SERVICES)
    for service, pipeline in pipelines.items():
        assert pipeline["PipelineType"] == "V2"
        assert pipeline["Name"] == f"suppliers-{name}-{service}"
        assert pipeline["ArtifactStore"]["EncryptionKey"]["Type"] == "KMS"


def test_a_pipeline_is_source_build_deploy(templates: Synthesize) -> None:
    pipelines = pipelines_of(templates("dev").pipelines)
    for pipeline in pipelines.values():
        assert [stage["Name"] for stage in pipeline["Stages"]] == ["Source", "Build", "Deploy"]
        stages = stages_of(pipeline)
        assert actions_of(stages["Source"]) == [(1, "Commit", "CodeCommit")]
        assert actions_of(stages["Build"]) == [(1, "Test", "CodeBuild"), (2, "Image", "CodeBuild")]
        assert stages["Build"]["Actions"][0]["ActionTypeId"]["Category"] == "Test"
    assert actions_of(stages_of(pipelines["customer"])["Deploy"]) == [(2, "Deploy", "CodeDeployToECS")]
    assert actions_of(stages_of(pipelines["employee"])["Deploy"]) == [
        (1, "Migrate", "CodeBuild"),
        (2, "Deploy", "CodeDeployToECS"),
    ]


def test_with_approval_a_person_is_asked_before_the_database_changes(templates: Synthesize) -> None:
    for pipeline in pipelines_of(templates("prod").pipelines).values():
        names = [stage["Name"] for stage in pipeline["Stages"]]
        assert names == ["Source", "Build", "Approval", "Deploy"]
        stage = stages_of(pipeline)["Approval"]
        assert actions_of(stage) == [(1, "Approve", "Manual")]
        assert stage["Actions"][0]["Configuration"]["CustomData"] == "#{Build.REASON}"


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_an_untouched_service_skips_approval_and_deployment_visibly(templates: Synthesize, name: str) -> None:
    for pipeline in pipelines_of(templates(name).pipelines).values():
        for stage in pipeline["Stages"]:
            if stage["Name"] in ("Source", "Build"):
                assert "BeforeEntry" not in stage
                continue
            (condition,) = stage["BeforeEntry"]["Conditions"]
            assert condition["Result"] == "SKIP"
            (rule,) = condition["Rules"]
            assert rule["RuleTypeId"]["Provider"] == "VariableCheck"
            assert rule["Configuration"] == {
                "Variable": "#{Build.RELEASE}",
                "Operator": "EQ",
                "Value": "yes",
            }


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_the_variables_that_stages_ask_for_are_exported_by_the_build(
    templates: Synthesize, name: str
) -> None:
    template = templates(name).pipelines
    for service, pipeline in pipelines_of(template).items():
        asked = set(re.findall(r"#\{Build\.(\w+)\}", json.dumps(pipeline["Stages"])))
        (image,) = (a for a in stages_of(pipeline)["Build"]["Actions"] if a["Name"] == "Image")
        assert image["Namespace"] == "Build"
        specification = build_specification(template, f"Delivery{service.capitalize()}/Default/Image/")
        assert {"RELEASE"} <= asked <= set(specification["env"]["exported-variables"])


def test_codedeploy_reads_the_generated_files_of_the_group_in_the_services_stack(
    templates: Synthesize,
) -> None:
    template = templates("dev").pipelines
    for service, pipeline in pipelines_of(template).items():
        deploy = stages_of(pipeline)["Deploy"]["Actions"][-1]
        configuration = deploy["Configuration"]
        assert configuration["TaskDefinitionTemplatePath"] == "taskdef.json"
        assert configuration["AppSpecTemplatePath"] == "appspec.yaml"
        group = configuration["DeploymentGroupName"]["Fn::GetStackOutput"]
        assert group["StackName"] == f"suppliers-dev-{service}"
        assert "ReleaseDeploymentGroup" in group["OutputName"]
        files = build_specification(template, f"Delivery{service.capitalize()}/Default/Image/")["artifacts"][
            "files"
        ]
        assert files == ["taskdef.json", "appspec.yaml"]


@pytest.mark.parametrize("controller", ["ecs", "rolling"])
def test_with_ecs_controllers_the_services_stack_is_updated_with_the_image(
    dev: Dev, tmp_path: Path, controller: str
) -> None:
    template = synthesize(dev(controller=f'controller = "{controller}"'), tmp_path / "out").pipelines
    for service, pipeline in pipelines_of(template).items():
        stages = stages_of(pipeline)
        assert list(stages) == ["Source", "Build", "Deploy"]
        (deploy,) = stages["Deploy"]["Actions"]
        assert deploy["ActionTypeId"]["Provider"] == "CodeBuild"
        given = {
            each["name"]: each["value"]
            for each in json.loads(deploy["Configuration"]["EnvironmentVariables"])
        }
        assert given == {"IMAGE": "#{Build.IMAGE}", "VERSION": "#{Build.VERSION}"}
        path = f"Delivery{service.capitalize()}/Default/Deploy"
        assert build_specification(template, f"{path}/")["phases"]["build"]["commands"] == [
            "python -m delivery release"
        ]
        # By CloudFormation and the role that the stack was deployed with; nothing in ECS itself.
        given_rights = actions_allowed(statements_of(template, f"{path}Role/"))
        assert {each for each in given_rights if each.startswith(("cloudformation", "ecs"))} == {
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:UpdateStack",
        }


def test_a_push_to_the_branch_of_codecommit_starts_every_pipeline(dev: Dev, tmp_path: Path) -> None:
    template = synthesize(dev(source='branch = "live"'), tmp_path / "out").pipelines
    assert only(of_type(template, "AWS::CodeCommit::Repository"))["RepositoryName"] == "microservices"
    rules = of_type(template, "AWS::Events::Rule").values()
    assert len(rules) == len(SERVICES)
    for rule in rules:
        assert rule["EventPattern"]["detail"]["referenceName"] == ["live"]
    for pipeline in pipelines_of(template).values():
        (source,) = stages_of(pipeline)["Source"]["Actions"]
        assert source["Configuration"]["BranchName"] == "live"
        assert source["Configuration"]["PollForSourceChanges"] is False


def test_a_repository_of_another_environment_is_used_as_it_is(dev: Dev, tmp_path: Path) -> None:
    template = synthesize(dev(source="create_repository = false"), tmp_path / "out").pipelines
    assert not of_type(template, "AWS::CodeCommit::Repository")
    for pipeline in pipelines_of(template).values():
        (source,) = stages_of(pipeline)["Source"]["Actions"]
        assert source["Configuration"]["RepositoryName"] == "microservices"


def test_a_push_to_github_comes_through_the_connection(dev: Dev, tmp_path: Path) -> None:
    template = synthesize(dev(source=GITHUB), tmp_path / "out").pipelines
    assert not of_type(template, "AWS::CodeCommit::Repository")
    for pipeline in pipelines_of(template).values():
        assert [stage["Name"] for stage in pipeline["Stages"]] == ["Source", "Build", "Deploy"]
        (source,) = stages_of(pipeline)["Source"]["Actions"]
        assert source["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
        assert source["Configuration"] == {
            "ConnectionArn": CONNECTION,
            "FullRepositoryId": "company/microservices",
            "BranchName": "live",
        }
        assert "UseConnection" in json.dumps(statements_of(template, "DeliveryCustomer/Default/Role/"))


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_images_are_immutable_scanned_encrypted_and_limited_in_number(
    templates: Synthesize, name: str
) -> None:
    template = templates(name).pipelines
    repositories = of_type(template, "AWS::ECR::Repository")
    assert {each["RepositoryName"] for each in repositories.values()} == {
        f"suppliers-{name}/{service}" for service in SERVICES
    }
    for logical_id, repository in repositories.items():
        assert repository["ImageTagMutability"] == "IMMUTABLE"
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository["EncryptionConfiguration"]["EncryptionType"] == "KMS"
        assert json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        kept = settings.load(name).protected
        assert template["Resources"][logical_id]["DeletionPolicy"] == (
            "RetainExceptOnCreate" if kept else "Delete"
        )
        assert repository.get("EmptyOnDelete", False) is not kept


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_keys_rotate_and_artifacts_are_private(templates: Synthesize, name: str) -> None:
    template = templates(name).pipelines
    for key in of_type(template, "AWS::KMS::Key").values():
        assert key["EnableKeyRotation"] is True
    (bucket,) = (
        each["Properties"]
        for each in by_path(template, "Delivery/Artifacts/Resource").values()
        if each["Type"] == "AWS::S3::Bucket"
    )
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_only_the_project_that_builds_images_is_privileged(templates: Synthesize, name: str) -> None:
    template = templates(name).pipelines
    privileged = {
        resource["Metadata"]["aws:cdk:path"].split("/")[2]: resource["Properties"]["Environment"][
            "PrivilegedMode"
        ]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CodeBuild::Project"
    }
    assert privileged == {"Test": False, "Image": True, "Migrate": False}


@pytest.mark.parametrize(
    ("architecture", "kind"), [("arm64", "ARM_CONTAINER"), ("x86_64", "LINUX_CONTAINER")]
)
def test_builds_run_on_the_processor_of_the_service(
    project: Path, tmp_path: Path, architecture: str, kind: str
) -> None:
    with (project / "environments/dev.toml").open("a") as file:
        file.write(f'[services.customer]\narchitecture = "{architecture}"\n')
    template = synthesize(settings.load("dev", project), tmp_path / "out").pipelines
    for resource in by_path(template, "DeliveryCustomer/Default/").values():
        if resource["Type"] == "AWS::CodeBuild::Project":
            assert resource["Properties"]["Environment"]["Type"] == kind


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_no_role_may_pass_other_roles_than_those_of_its_service(templates: Synthesize, name: str) -> None:
    template = templates(name).pipelines
    passing = 0
    for logical_id, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            if "iam:PassRole" in statement["Action"]:
                passing += 1
                service = re.match(r"Customer|Employee", logical_id)
                assert service is not None
                roles = json.dumps(statement["Resource"])
                stacks = set(re.findall(r'"StackName": "([^"]+)"', roles))
                assert stacks == {f"suppliers-{name}-{service[0].lower()}"}
                named = re.findall(r"PublishOutput(?:Ref|FnGetAtt)(\w+?Role)[0-9A-F]{8}", roles)
                assert len(named) == 2
                assert set(named) <= {"TaskRole", "ExecutionRole", "DatabaseAccessManagerRole"}
                assert "ExecutionRole" in named
                assert ("DatabaseAccessManagerRole" in named) == ("Migrate" in logical_id)
                assert "*" not in roles
                assert (
                    statement["Condition"]["StringEquals"]["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
                )
    assert passing == 3


@pytest.mark.parametrize("name", WITH_PIPELINES)
def test_only_the_build_of_images_signs_in_to_the_public_registry(templates: Synthesize, name: str) -> None:
    """https://docs.aws.amazon.com/cli/latest/reference/ecr-public/get-login-password.html"""
    for statement in statements_of(templates(name).pipelines, "DeliveryCustomer/Default/ImageRole/"):
        if "ecr-public:GetAuthorizationToken" in statement["Action"]:
            assert "sts:GetServiceBearerToken" in statement["Action"]
            break
    else:
        pytest.fail("the image's build cannot sign in")
    for role in ("TestRole", "MigrateRole", "DeployRole", "Role"):
        for service in ("Customer", "Employee"):
            statements = statements_of(templates(name).pipelines, f"Delivery{service}/Default/{role}/")
            assert "ecr-public" not in json.dumps(statements)


@pytest.mark.parametrize(
    ("source", "controller"), [("codecommit", "codedeploy"), ("codecommit", "ecs"), ("github", "rolling")]
)
def test_each_action_has_the_rights_that_its_page_names(
    dev: Dev, tmp_path: Path, source: str, controller: str
) -> None:
    lines = {"source": GITHUB} if source == "github" else {}
    template = synthesize(
        dev(controller=f'controller = "{controller}"', **lines)
        if controller != "codedeploy"
        else settings.load("dev"),
        tmp_path / "out",
    ).pipelines
    providers = set()
    for service, pipeline in pipelines_of(template).items():
        own = f"Delivery{service.capitalize()}/Default"
        roles = {
            resource["Metadata"]["aws:cdk:path"].split("/")[2]: logical_id
            for logical_id, resource in by_path(template, f"{own}/").items()
            if resource["Type"] == "AWS::IAM::Role"
        }
        for action in (action for stage in pipeline["Stages"] for action in stage["Actions"]):
            provider = action["ActionTypeId"]["Provider"]
            providers.add(provider)
            role = "DeployRole" if action.get("RoleArn") else "Role"
            if action.get("RoleArn"):
                assert action["RoleArn"]["Fn::GetAtt"][0] == roles[role]
            given = actions_allowed(statements_of(template, f"{own}/{role}/"))
            assert RIGHTS[provider] <= given, (service, provider)
            if action.get("InputArtifacts") and provider != "CodeBuild":
                assert given >= READING
        for project in ("Test", "Image", "Migrate"):
            if f"{project}Role" in roles:
                # https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
                given = actions_allowed(statements_of(template, f"{own}/{project}Role/"))
                assert given >= {*READING, "logs:CreateLogStream", "logs:PutLogEvents"}
    # Where ECS releases, the service's stack is updated by a build.
    assert len(providers) == (3 if controller == "codedeploy" else 2)


def actions_allowed(statements: list[Any]) -> set[str]:
    found: set[str] = set()
    for statement in statements:
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def test_a_new_image_can_be_pulled_by_the_services_task(templates: Synthesize) -> None:
    for service in ("Customer", "Employee"):
        statements = statements_of(templates("dev").pipelines, f"Delivery{service}/ExecutionRole/")
        pulling = [each for each in statements if "ecr:BatchGetImage" in each["Action"]]
        assert len(pulling) == 1
        assert pulling[0]["Resource"]["Fn::GetAtt"][0].startswith(f"{service}Images")


def test_waiting_approvals_are_told_on_the_topic_of_all_alarms_where_there_are_any(
    templates: Synthesize,
) -> None:
    kind = "AWS::CodeStarNotifications::NotificationRule"
    assert not of_type(templates("dev").pipelines, kind)
    rules = of_type(templates("prod").pipelines, kind).values()
    outputs = templates("prod")["Network"]["Outputs"]
    topic = next(iter(of_type(templates("prod")["Network"], "AWS::SNS::Topic")))
    assert len(rules) == len(SERVICES)
    for rule in rules:
        assert rule["EventTypeIds"] == ["codepipeline-pipeline-manual-approval-needed"]
        (target,) = rule["Targets"]
        output = target["TargetAddress"]["Fn::GetStackOutput"]["OutputName"]
        assert outputs[output]["Value"] == {"Ref": topic}


def test_compute_does_not_need_delivery(templates: Synthesize) -> None:
    assert "suppliers-dev-delivery" not in json.dumps(templates("dev").platform)


def test_the_build_does_what_the_plan_says_and_stops_at_the_first_failure(
    templates: Synthesize, tmp_path: Path
) -> None:
    """The real commands in a real shell, with stand-ins for docker, aws and python that note their calls."""
    specification = build_specification(templates("dev").pipelines, "DeliveryCustomer/Default/Image/")
    commands = [
        *specification["phases"]["pre_build"]["commands"],
        *specification["phases"]["build"]["commands"],
    ]
    (tmp_path / "release").mkdir()

    def run(plan: str, *, failing: str = "none") -> tuple[int, list[str]]:
        (tmp_path / "release/release.env").write_text(
            "".join(f"export {line}\n" for line in (*plan.split(), "IMAGE=registry/customer:v", "VERSION=v"))
        )
        calls = tmp_path / "calls"
        calls.write_text("")
        stand_ins = "".join(
            f'{tool}() {{ echo "{tool} $*" >> {calls}; [[ "{tool} $*" != *"{failing}"* ]]; }}\n'
            for tool in ("python", "docker", "aws")
        )
        # CodeBuild stops at the first command that fails.
        script = f"set -o pipefail\n{stand_ins}" + "".join(f"{{ {line}\n}} || exit 1\n" for line in commands)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "REPOSITORY_URI": "registry/customer", "SERVICE": "customer"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, calls.read_text().splitlines()

    status, calls = run("RELEASE=yes BUILD=yes BASE_IMAGE=python:3")
    assert status == 0
    # The two sides of the pipe that signs in run at once.
    login = {"aws ecr get-login-password", "docker login --username AWS --password-stdin registry"}
    assert login <= set(calls)
    assert [call for call in calls if call not in login] == [
        "python -m delivery plan",
        "python -m delivery pull-base",
        "docker build --build-arg=PYTHON_IMAGE=python:3 --build-arg VERSION=v --tag registry/customer:v"
        " --file release/context/customer/Dockerfile release/context",
        "docker push registry/customer:v",
        "python -m delivery check-image",
        "python -m delivery write",
    ]
    # Where the Dockerfile decides what it starts from.
    _, calls = run("RELEASE=yes BUILD=yes BASE_IMAGE=")
    assert any(call.startswith("docker build --build-arg VERSION=v ") for call in calls)
    # The check can ask the image for newer packages, so the build can pull it.
    status, calls = run("RELEASE=yes BUILD=no")
    assert (status, [call for call in calls if call not in login]) == (
        0,
        ["python -m delivery plan", "python -m delivery check-image", "python -m delivery write"],
    )
    assert login <= set(calls)
    status, calls = run("RELEASE=no BUILD=no")
    assert (status, calls) == (0, ["python -m delivery plan", "python -m delivery write"])
    status, calls = run("RELEASE=yes BUILD=yes", failing="pull-base")
    assert (status, [call for call in calls if call.startswith("docker build")]) == (1, [])
    status, calls = run("RELEASE=yes BUILD=yes", failing="docker build")
    assert status == 1
    assert not any(call.startswith("docker push") or "write" in call for call in calls)
    status, calls = run("RELEASE=yes BUILD=yes", failing="check-image")
    assert status == 1
    assert "python -m delivery write" not in calls

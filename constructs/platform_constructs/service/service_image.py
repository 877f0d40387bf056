from pathlib import Path
from typing import Literal

from aws_cdk import IgnoreMode
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct

from platform_constructs.service import build_context


class ServiceImage(ecr_assets.DockerImageAsset):
    """A service's image, which knows its version; its own folder and the shared one are in it, nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        services: Path,
        service: str,
        architecture: Literal["arm64", "x86_64"],
    ) -> None:
        # The same as in the pipelines, so that what one has deployed is known to the other.
        self.version = build_context.version(services, service, architecture)
        base_image = build_context.base_image(services)
        super().__init__(
            scope,
            construct_id,
            directory=str(services),
            file=f"{service}/Dockerfile",
            ignore_mode=IgnoreMode.DOCKER,
            exclude=[
                "*",
                f"!{service}",
                f"!{build_context.SHARED}",
                *(f"**/{pattern}" for pattern in build_context.LITTER),
            ],
            platform=ecr_assets.Platform.LINUX_ARM64
            if architecture == "arm64"
            else ecr_assets.Platform.LINUX_AMD64,
            # In the image, not in the task: who replaces the image alone replaces its version too.
            build_args={"VERSION": self.version, **({"PYTHON_IMAGE": base_image} if base_image else {})},
            display_name=service,
        )

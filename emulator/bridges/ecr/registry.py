"""ECR tells the truth: an image exists when the local Docker has it.

Why: ministack's DescribeImages answers an empty list for an image it does not have, where ECR answers
ImageNotFoundException. The CDK CLI therefore takes every image asset for published and never builds it.
Together with the `docker` stand-in in `emulator/cdk-docker` (whose push and login do nothing) an
unchanged `cdk deploy` builds what is missing and skips what exists.
Unnecessary when ministack keeps an image registry that `docker push` can push to.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import logging
from typing import Any

from emulator.bridges import Context, replace

logger = logging.getLogger("emulator.registry")


def install(context: Context) -> None:
    from ministack.services import ecr

    replace(ecr, "_describe_images", _describing)


def _describing(original: Any) -> Any:
    def describe_images(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json, json_response
        from ministack.services import ecr

        repository = data.get("repositoryName", "")
        if repository not in ecr._repositories:
            return original(data)
        wanted = data.get("imageIds") or []
        if not wanted:
            return original(data)
        details = []
        for image_id in wanted:
            found = _local_image(repository, image_id)
            if found is None:
                return error_response_json(
                    "ImageNotFoundException",
                    f"The image with imageId {image_id} does not exist within the repository with name "
                    f"'{repository}' in the registry with id '{ecr._registry_id()}'",
                    400,
                )
            details.append(found)
        return json_response({"imageDetails": details})

    return describe_images


def _local_image(repository: str, image_id: dict[str, str]) -> dict[str, Any] | None:
    from docker.errors import DockerException
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ecr, ecs

    reference = f"{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com/{repository}"
    tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
    try:
        image = ecs._get_docker().images.get(f"{reference}:{tag}" if tag else str(digest))
    except DockerException as error:
        logger.debug("no local image for %s %s: %s", reference, image_id, error)
        return None
    return {
        "registryId": ecr._registry_id(),
        "repositoryName": repository,
        "imageDigest": image.id,
        "imageTags": [name.rsplit(":", 1)[1] for name in image.tags if name.startswith(f"{reference}:")],
        "imageSizeInBytes": image.attrs.get("Size", 0),
        "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
    }

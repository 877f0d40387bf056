from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Stack
from constructs import Construct

from platform_constructs.database.database_access import DatabaseAccess
from platform_constructs.service.microservice import Microservice
from platform_constructs.service.service_operations import ServiceOperations

_COMMAND = ["python", "-m", "directory.prepare"]


@dataclass(frozen=True, kw_only=True)
class UserRights:
    """What a service may do in the database: `tables` empty means all of them."""

    access: Literal["read", "write"]
    tables: Sequence[str]


class DatabasePreparation(Construct):
    """Makes users, rights and schema fit a service's new image, as a one-off task before the service changes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        microservice: Microservice,
        database: DatabaseAccess,
        users: Mapping[str, UserRights],
        operations: ServiceOperations,
        environment: Mapping[str, str],
        sample_data: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.task_definition = microservice.add_task_definition(
            "Prepare",
            command=_COMMAND,
            task_role=database.manager_role,
            environment={
                **environment,
                **database.location,
                "DB_ADMIN_SECRET_ARN": database.administrator.secret_arn,
                "DB_MIGRATOR_SECRET_ARN": database.migrator.secret_arn,
                "DB_USERS": Stack.of(self).to_json_string(
                    [
                        {
                            "service": name,
                            "secret_arn": database.users[name].secret_arn,
                            "access": rights.access,
                            "tables": list(rights.tables),
                        }
                        for name, rights in users.items()
                    ]
                ),
                "SAMPLE_DATA": str(sample_data).lower(),
            },
        )
        self.security_groups = [microservice.security_group, database.client_security_group]
        self.done = operations.run_to_completion(
            "Prepare",
            task_definition=self.task_definition,
            security_groups=self.security_groups,
            log_group=microservice.log_group,
            log_prefix=microservice.log_prefix,
        )

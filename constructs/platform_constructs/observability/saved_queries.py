from collections.abc import Mapping, Sequence

from aws_cdk import aws_logs as logs
from constructs import Construct

_REQUESTS = 'message = "request"'

# By title, in the language of CloudWatch Logs Insights over the lines that the services write.
_QUERIES: Mapping[str, logs.QueryString] = {
    "Slowest routes": logs.QueryString(
        filter_statements=[_REQUESTS],
        stats_statements=[
            "count(*) as requests, pct(duration_ms, 50) as p50_ms, pct(duration_ms, 95) as p95_ms, "
            "max(duration_ms) as slowest_ms by service, method, route"
        ],
        sort="p95_ms desc",
        limit=50,
    ),
    "Errors by route": logs.QueryString(
        filter_statements=[_REQUESTS, "status >= 500"],
        stats_statements=[
            "count(*) as errors, min(time) as first, max(time) as last by service, method, route, status"
        ],
        sort="errors desc",
        limit=50,
    ),
    # The load balancer's id of a request, as its access log, its header X-Amzn-Trace-Id and every line have it.
    "One trace": logs.QueryString(
        fields=["@timestamp", "service", "method", "route", "status", "duration_ms", "trace", "@message"],
        filter_statements=["trace like /1-00000000-000000000000000000000000/"],
        sort="@timestamp asc",
        limit=200,
    ),
    "Changes by employee": logs.QueryString(
        filter_statements=[_REQUESTS, "change = 1"],
        stats_statements=[
            'count(*) as changes, max(time) as last by coalesce(employee, "not signed in") as who, method, route'
        ],
        sort="changes desc",
        limit=100,
    ),
}


class SavedQueries(Construct):
    """Questions to the services' logs that an operator finds ready in CloudWatch Logs Insights."""

    def __init__(
        self, scope: Construct, construct_id: str, *, folder: str, log_groups: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        groups = [logs.LogGroup.from_log_group_name(self, name, name) for name in log_groups]
        for title, query in _QUERIES.items():
            logs.QueryDefinition(
                self,
                "".join(word.capitalize() for word in title.split()),
                query_definition_name=f"{folder}/{title}",
                query_string=query,
                log_groups=groups,
            )

"""What operators ask the functions' logs, ready to be run in CloudWatch Logs Insights. Pure."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A question and its words.

    Parameters
    ----------
    name : as operators find it, behind the stack's
    parts : of the query, by the names of `aws_logs.QueryString`
    functions : whose logs are asked; none for all
    """

    name: str
    parts: dict[str, Any]
    functions: tuple[str, ...] = ()

    @property
    def construct_id(self) -> str:
        return "".join(word.title() for word in self.name.split("-"))


# The functions log JSON objects of Powertools, and Lambda its own lines of text.
LOG_QUERIES: Final = (
    LogQuery(
        "errors",
        {
            "fields": ["@timestamp", "service", "level", "message", "reason", "error", "exception_name", "@log"],
            "filter_statements": ["level in ['ERROR', 'CRITICAL'] or @message like /Task timed out|Runtime exited/"],
            "sort": "@timestamp desc",
            "limit": 200,
        },
    ),
    LogQuery(
        "parked-by-reason",
        {
            "filter_statements": ["message in ['record parked', 'event parked']"],
            "stats_statements": ["count(*) as messages, max(@timestamp) as last by reason, partition_key"],
            "sort": "messages desc",
            "limit": 100,
        },
    ),
    LogQuery(
        "warnings-by-message",
        {
            "filter_statements": ["level = 'WARNING'"],
            "stats_statements": ["count(*) as lines, max(@timestamp) as last by service, message, error"],
            "sort": "lines desc",
            "limit": 100,
        },
    ),
    LogQuery(
        "one-gateway",
        {
            "fields": ["@timestamp", "service", "level", "message", "reason", "error"],
            "filter_statements": ["@message like 'GATEWAY'"],
            "sort": "@timestamp desc",
            "limit": 500,
        },
    ),
    LogQuery(
        "slow-and-cold",
        {
            "filter_statements": ["@type = 'REPORT'"],
            "stats_statements": [
                "count(*) as invocations, pct(@duration, 50) as p50_ms, pct(@duration, 99) as p99_ms, "
                "max(@maxMemoryUsed / 1000000) as memory_mb, sum(ispresent(@initDuration)) as cold, "
                "max(@initDuration) as slowest_init_ms by bin(5m)"
            ],
            "sort": "bin(5m) desc",
            "limit": 100,
        },
        ("processor",),
    ),
    LogQuery(
        "records-failed",
        {
            "filter_statements": ["message = 'record failed, to be delivered again'"],
            "stats_statements": ["count(*) as records by error, bin(5m)"],
            "sort": "records desc",
            "limit": 100,
        },
        ("processor",),
    ),
)

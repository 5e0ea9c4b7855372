"""Asks Athena, on AWS or on the local cloud, and gives rows with values instead of texts."""

import datetime as dt
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from cloud.dashboard.sums import Row
from cloud.deployment import CloudError, in_words
from cloud.insights.queries import Query, Type

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

_POLL_S: Final = 0.3
_TIMEOUT_S: Final = 120


class AthenaError(CloudError):
    """A query failed or took too long."""


class Athena:
    """A lake behind Athena."""

    def __init__(self, client: "AthenaClient", *, database: str, workgroup: str, time_zone: str) -> None:
        self._client = client
        self._database = database
        self._workgroup = workgroup
        self._time_zone = time_zone

    def answer(self, query: Query) -> list[Row]:
        """The rows of the query's result.

        Raises
        ------
        CloudError
        """
        with in_words():
            return self._answer(query)

    def _answer(self, query: Query) -> list[Row]:
        execution = self._client.start_query_execution(
            QueryString=query.sql(time_zone=self._time_zone),
            QueryExecutionContext={"Database": self._database},
            WorkGroup=self._workgroup,
        )["QueryExecutionId"]
        self._wait(query, execution)
        names = [column.name for column in query.columns]
        types = [column.type for column in query.columns]
        return [
            {name: _value(text, kind) for name, kind, text in zip(names, types, texts, strict=True)}
            for texts in self._results(execution)
        ]

    def _wait(self, query: Query, execution: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            status = self._client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] in ("FAILED", "CANCELLED"):
                reason = status.get("StateChangeReason", "no reason given")
                raise AthenaError(f"{query.name}.sql: {status['State'].lower()} ({reason})")
            time.sleep(_POLL_S)
        self._client.stop_query_execution(QueryExecutionId=execution)
        raise AthenaError(f"{query.name}.sql: no result within {_TIMEOUT_S} s")

    def _results(self, execution: str) -> Iterator[list[str | None]]:
        """Every row of the result but the first, which holds the columns' names."""
        rows = (
            [cell.get("VarCharValue") for cell in row["Data"]]
            for page in self._client.get_paginator("get_query_results").paginate(QueryExecutionId=execution)
            for row in page["ResultSet"]["Rows"]
        )
        next(rows, None)
        return rows


def _value(text: str | None, kind: Type) -> Any:
    if text is None or (text == "" and kind is not Type.TEXT):
        return None
    match kind:
        case Type.INT | Type.BIGINT:
            return int(text)
        case Type.DOUBLE:
            return float(text)
        case Type.TIMESTAMP:
            return dt.datetime.fromisoformat(text)
        case Type.TEXT:
            return text

"""What a run's tables hold of its gateways: asked for by gateway and instant, so that nobody reads a whole table."""

from collections.abc import Collection, Iterator
from typing import Any, Final

LAST_MS: Final = 9_999_999_999_999  # as many digits as any instant of this century


def payloads(
    client: Any, table: str, gateways: Collection[str], sort_key: str, since_ms: int, until_ms: int | None
) -> Iterator[bytes]:
    """Messages of a table whose sort keys begin with an instant in [since_ms, until_ms), one gateway after another."""
    values = {":since": {"S": str(since_ms)}, ":until": {"S": str(LAST_MS if until_ms is None else until_ms)}}
    for gateway in gateways:
        pages = client.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression=f"g = :g AND {sort_key} BETWEEN :since AND :until",
            ExpressionAttributeValues={":g": {"S": gateway}, **values},
            ConsistentRead=True,
        )
        yield from (bytes(item["b"]["B"]) for page in pages for item in page["Items"])

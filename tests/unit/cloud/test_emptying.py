"""A bucket is emptied when its stack goes, and CloudFormation gets an answer whatever happens."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.core.models import MockAWS

from cloud.functions.emptying import handler


class CloudFormation:
    """Takes the answer at the address that the request names."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        answers = self.answers

        class Take(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server.server_port}/answer"

    def asks(self, request_type: str, bucket: str) -> dict[str, Any]:
        """The function's answer to a request."""
        handler.handle(
            {
                "RequestType": request_type,
                "ResponseURL": self.url,
                "StackId": "stack",
                "RequestId": "request",
                "LogicalResourceId": "EmptyingBucket",
                "ResourceProperties": {"Bucket": bucket},
            },
            None,
        )
        return self.answers.pop()


@pytest.fixture
def cloudformation(account: MockAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudFormation]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler.client.cache_clear()
    opened = CloudFormation()
    thread = Thread(target=opened.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield opened
    opened.server.shutdown()
    thread.join()
    opened.server.server_close()
    account.reset()


def filled_bucket() -> Any:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket="lake", Key=f"rows/{number}", Body=b"old")
        s3.put_object(Bucket="lake", Key=f"rows/{number}", Body=b"new")
    s3.delete_object(Bucket="lake", Key="rows/0")
    return s3


def test_at_deletion_every_version_goes(cloudformation: CloudFormation) -> None:
    s3 = filled_bucket()

    assert cloudformation.asks("Delete", "lake") == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "lake",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "EmptyingBucket",
    }
    s3.delete_bucket(Bucket="lake")  # S3 refuses while anything is in it


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_before_that_nothing_is_touched(cloudformation: CloudFormation, request_type: str) -> None:
    s3 = filled_bucket()

    assert cloudformation.asks(request_type, "lake")["Status"] == "SUCCESS"
    assert len(s3.list_object_versions(Bucket="lake")["Versions"]) == 6


def test_what_cannot_be_emptied_is_said_with_the_reason(cloudformation: CloudFormation) -> None:
    answer = cloudformation.asks("Delete", "nowhere")

    assert answer["Status"] == "FAILED"
    assert "NoSuchBucket" in answer["Reason"]

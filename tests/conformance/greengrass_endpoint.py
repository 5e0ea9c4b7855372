"""What `gdk component publish` needs of STS, S3 and Greengrass, over HTTP on the loopback: an account in memory.

Set AWS_ENDPOINT_URL to `url` and any AWS SDK talks to it. Answers and refusals are those that botocore's service models
and Greengrass's documents describe; what it does not know it answers with 501. The versions of a component that nobody
has created are an empty list: the GDK asks for them before its first publishing and takes an error for a fault.
`answers_not_found` makes it the error that the service model allows as well. Without `tells_recipes` GetComponent is
not permitted.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

ACCOUNT = "111122223333"
ADMINISTRATOR = "AKIDADMINISTRATOR"
READER = "AKIDREADER"
_PAGE = 2  # of ListComponentVersions, so small that paging is met
_STS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
_ARN = re.compile(r"arn:aws:greengrass:[a-z0-9-]+:(\d{12}):components:([^:/]+)(?::versions:([^:/]+))?")
_CREDENTIAL = re.compile(r"Credential=([A-Z]+)/\d{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request")

_Query = dict[str, list[str]]


class RefusalError(Exception):
    """An error as AWS tells it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class GreengrassEndpoint(ThreadingHTTPServer):
    """The account: its buckets, objects and component versions, and every change made to it in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.locations: dict[str, str] = {}
        self.objects: dict[tuple[str, str], bytes] = {}
        self.recipes: dict[str, dict[str, dict[str, Any]]] = {}
        self.changes: list[str] = []
        self.answers_not_found = False
        self.tells_recipes = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add_version(self, recipe: dict[str, Any]) -> None:
        """As CreateComponentVersion: refuse a version that exists and artifacts that do not, keep their digests."""
        name, version = recipe["ComponentName"], recipe["ComponentVersion"]
        if version in self.recipes.get(name, {}):
            raise RefusalError(409, "ConflictException", f"Component [{name} : {version}] of {ACCOUNT} exists")
        for artifact in (each for manifest in recipe["Manifests"] for each in manifest.get("Artifacts", [])):
            bucket, _, key = artifact["Uri"].removeprefix("s3://").partition("/")
            if (bucket, key) not in self.objects:
                raise RefusalError(400, "ValidationException", f"Cannot access the artifact {artifact['Uri']}")
            artifact["Digest"] = base64.b64encode(hashlib.sha256(self.objects[bucket, key]).digest()).decode()
            artifact["Algorithm"] = "SHA-256"
        self.recipes.setdefault(name, {})[version] = recipe
        self.changes.append(f"version {name} {version}")


class _Handler(BaseHTTPRequestHandler):
    server: GreengrassEndpoint
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        place = urlsplit(self.path)
        signed = _CREDENTIAL.search(self.headers.get("Authorization", ""))
        user, region, service = signed.groups() if signed else ("", "", "")
        try:
            self._admit(user, service)
            query = parse_qs(place.query, keep_blank_values=True)
            if service == "sts":
                self._send(200, self._sts(body), "text/xml")
            elif service == "s3":
                self._send(200, self._s3(unquote(place.path), query, region, body), "text/xml")
            else:
                answer = self._greengrass(unquote(place.path), query, body)
                self._send(200, json.dumps(answer).encode(), "application/json")
        except RefusalError as refusal:
            self._refuse(service, refusal)

    do_GET = do_PUT = do_POST = _serve  # noqa: N815  names that the server looks for

    def _admit(self, user: str, service: str) -> None:
        if user not in {ADMINISTRATOR, READER}:
            raise RefusalError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if user == READER and service != "sts" and self.command != "GET":
            raise RefusalError(403, "AccessDenied" if service == "s3" else "AccessDeniedException", "Access Denied")

    def _sts(self, body: bytes) -> bytes:
        if parse_qs(body.decode()).get("Action") != ["GetCallerIdentity"]:
            raise self._unknown()
        identity = f"<Account>{ACCOUNT}</Account><Arn>arn:aws:iam::{ACCOUNT}:user/t</Arn><UserId>AIDA</UserId>"
        result = f"<GetCallerIdentityResult>{identity}</GetCallerIdentityResult>"
        return f"<GetCallerIdentityResponse {_STS}>{result}</GetCallerIdentityResponse>".encode()

    def _s3(self, path: str, query: _Query, region: str, body: bytes) -> bytes:
        bucket, _, key = path.lstrip("/").partition("/")
        locations = self.server.locations
        if self.command == "PUT" and not key:
            locations[bucket] = region
            self.server.changes.append(f"bucket {bucket}")
            return b""
        if bucket not in locations:
            raise RefusalError(404, "NoSuchBucket", "The specified bucket does not exist")
        if self.command == "GET" and "location" in query:
            text = "" if locations[bucket] == "us-east-1" else locations[bucket]
            return f"<LocationConstraint>{text}</LocationConstraint>".encode()
        if self.command != "PUT" or "aws-chunked" in self.headers.get("Content-Encoding", ""):
            raise self._unknown()
        self.server.objects[bucket, key] = body
        self.server.changes.append(f"object {key}")
        return b""

    def _greengrass(self, path: str, query: _Query, body: bytes) -> dict[str, Any]:
        if (self.command, path) == ("POST", "/greengrass/v2/createComponentVersion"):
            recipe = yaml.safe_load(base64.b64decode(json.loads(body)["inlineRecipe"]))
            self.server.add_version(recipe)
            return {"componentName": recipe["ComponentName"], "componentVersion": recipe["ComponentVersion"]}
        arn = _ARN.search(path)
        if self.command != "GET" or arn is None:
            raise self._unknown()
        account, name, version = arn.groups()
        if account != ACCOUNT:
            raise RefusalError(403, "AccessDeniedException", f"not authorized on {arn[0]}")
        versions = self.server.recipes.get(name, {})
        if (version and version not in versions) or (not versions and self.server.answers_not_found):
            raise RefusalError(404, "ResourceNotFoundException", f"No component found with ARN {arn[0]}")
        if version and not self.server.tells_recipes:
            raise RefusalError(403, "AccessDeniedException", "not authorized to perform greengrass:GetComponent")
        if version:
            recipe_text = base64.b64encode(json.dumps(versions[version]).encode()).decode()
            return {"recipeOutputFormat": query["recipeOutputFormat"][0], "recipe": recipe_text}
        start = int(query.get("nextToken", ["0"])[0])
        newest_first = [{"componentName": name, "componentVersion": each} for each in reversed(versions)]
        more = {"nextToken": str(start + _PAGE)} if start + _PAGE < len(versions) else {}
        return {"componentVersions": newest_first[start : start + _PAGE]} | more

    def _unknown(self) -> RefusalError:
        return RefusalError(501, "NotImplemented", f"{self.command} {self.path} is not served here")

    def _refuse(self, service: str, refusal: RefusalError) -> None:
        error = f"<Error><Code>{refusal.code}</Code><Message>{refusal}</Message></Error>"
        if service == "greengrass":
            body = json.dumps({"message": str(refusal)}).encode()
            self._send(refusal.status, body, "application/json", {"x-amzn-ErrorType": refusal.code})
        elif service == "s3":
            self._send(refusal.status, error.encode(), "text/xml")
        else:
            self._send(refusal.status, f"<ErrorResponse {_STS}>{error}</ErrorResponse>".encode(), "text/xml")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; pytest shows what failed."""


@contextmanager
def serving() -> Iterator[GreengrassEndpoint]:
    """An empty account, for as long as the block runs."""
    endpoint = GreengrassEndpoint()
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        endpoint.server_close()
        thread.join()

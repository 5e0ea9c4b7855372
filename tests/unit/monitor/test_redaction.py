"""What leaves the gateway for support holds no secret."""

import pytest

from monitor.redaction import HIDDEN, redact_text, redact_tree


def test_values_whose_names_call_them_secret_are_hidden_whole_and_others_stay() -> None:
    tree = {
        "host": "10.0.0.7",
        "port": 8883,
        "mqtt": [{"password": "p4ss", "clientId": "gw", "tls": {"caFile": "/ca.pem", "keyFile": "/key.pem"}}],
        "apiKey": ["one", "two"],
        "privateKey": {"pem": "x"},
        "userToken": None,
        "url": "https://user:hunter2@broker.local/x",
        "monkeys": 3,
    }
    hidden = redact_tree(tree)
    assert hidden["mqtt"] == [
        {"password": HIDDEN, "clientId": "gw", "tls": {"caFile": "/ca.pem", "keyFile": "/key.pem"}}
    ]
    assert hidden["apiKey"] == [HIDDEN, HIDDEN]
    assert hidden["url"] == f"https://{HIDDEN}@broker.local/x"
    assert {name: hidden[name] for name in ("host", "port", "monkeys", "userToken")} == {
        "host": "10.0.0.7",
        "port": 8883,
        "monkeys": 3,
        "userToken": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nS3CR3T\nS3CR3T\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nS3CR3T that the tail cut off",
        "key id AKIAS3CR3TS3CR3TXXXX",
        'SVCUID=S3CR3T',
        '{"password": "S3CR3T, with more", "x": 1}',
        "password='S3CR3T'",
        "client_secret: S3CR3T,",
        "mqtt://me:S3CR3T@host",
        "Authorization: Bearer S3CR3T.S3CR3T",
        "aws_session_token = S3CR3T",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_in_a_text_is_hidden(text: str) -> None:
    told = redact_text(f"before {text} after")
    assert "S3CR3T" not in told
    assert told.startswith("before ")
    assert HIDDEN in told


def test_plain_text_stays_as_it_is() -> None:
    line = '{"time": "2026-10-01T08:00:00Z", "message": "aggregating", "readings": 12, "keyed": "a:b", "at": "10:00"}'
    assert redact_text(line) == line

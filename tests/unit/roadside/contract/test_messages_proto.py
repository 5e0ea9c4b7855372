"""messages.proto is the schema: the generated module follows it, and every field says what it means."""

import re
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

from roadside.contract import codec
from roadside.contract import messages_pb2 as pb

COMPONENTS = Path(__file__).parents[4] / "components"
PROTO = COMPONENTS / "roadside" / "contract" / "messages.proto"


def test_generated_module_is_what_protoc_makes(tmp_path: Path) -> None:
    status = protoc.main(["protoc", f"-I{COMPONENTS}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(PROTO)])

    assert status == 0
    for name in ("messages_pb2.py", "messages_pb2.pyi"):
        made = (tmp_path / "roadside" / "contract" / name).read_text()
        assert made == PROTO.with_name(name).read_text(), f"{name} is stale: CONTRIBUTING.md has the command"


def test_every_field_and_message_has_a_comment_of_its_own() -> None:
    lines = PROTO.read_text().splitlines()
    declared = [
        number
        for number, line in enumerate(lines)
        if re.match(r"\s*(repeated )?\w+ \w+ = \d+;", line) or line.startswith("message ")
    ]
    fields = sum(len(message.fields) for message in pb.DESCRIPTOR.message_types_by_name.values())
    assert len(declared) == fields + len(pb.DESCRIPTOR.message_types_by_name)

    for number in declared:
        comment = lines[number - 1].strip()
        assert comment.startswith("// "), f"line {number + 1} has no comment"
        assert comment.endswith("."), f"the comment above line {number + 1} is no sentence"


# Types on the wire by field number, counted from 1; a line only ever grows.
RELEASED = {
    "WindowSummary": "uint32 string uint64 uint64 uint64 uint32 uint32 bool bytes bool",
    "SegmentColumns": "uint32 uint32 uint32 uint32 uint32 uint32 bytes uint32 uint32 sint64 sint64 sint64 sint32 "
    "sint32 uint64 uint32 uint32 sint32 sint64 uint32 uint32 uint32 uint32 uint32",
    "Ack": "uint32 uint64 uint64 uint64 uint64 string",
    "ReadingFrame": "uint32 string uint64 bytes bytes bytes bytes bytes",
}


def test_released_fields_keep_their_numbers_and_types() -> None:
    message, found = "", {}
    for line in PROTO.read_text().splitlines():
        if opened := re.match(r"message (\w+)", line):
            message = opened[1]
        elif field := re.match(r"\s*(?:repeated )?(\w+) \w+ = (\d+);", line):
            found[message, int(field[2])] = field[1]

    for name, types in RELEASED.items():
        for number, wire_type in enumerate(types.split(), 1):
            assert found[name, number] == wire_type, f"{name}, field {number}"


def test_every_column_of_the_segments_is_read() -> None:
    columns = {field.name for field in pb.SegmentColumns.DESCRIPTOR.fields if field.is_repeated}
    assert set(codec._Row._fields) == columns

"""The stack, synthesised once, and short ways into its template."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.app import PLATFORM, build


@dataclass(frozen=True)
class Synthesised:
    """An assembly on disk and its one template."""

    assembly: Path
    template: dict[str, Any]

    @property
    def template_file(self) -> Path:
        return self.assembly / f"{PLATFORM}.template.json"

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        resources: dict[str, dict[str, Any]] = self.template["Resources"]
        return resources

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id."""
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == resource_type
        }

    def one(self, resource_type: str, name_part: str = "") -> dict[str, Any]:
        """Properties of the only resource of the type whose logical id holds `name_part`."""
        found = [properties for name, properties in self.of_type(resource_type).items() if name_part in name]
        assert len(found) == 1, f"{len(found)} of {resource_type} {name_part}"
        return found[0]

    def resolve(self, value: Any) -> Any:
        """`value` with references as `<LogicalId>` without its hash, and joins joined."""
        match value:
            case {"Ref": name}:
                return f"<{_readable(name)}>"
            case {"Fn::GetAtt": [name, attribute]}:
                return f"<{_readable(name)}.{attribute}>"
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.resolve(part) for part in parts)
            case dict():
                return {key: self.resolve(item) for key, item in value.items()}
            case list():
                return [self.resolve(item) for item in value]
            case _:
                return value


def _readable(logical_id: str) -> str:
    return logical_id if "::" in logical_id else logical_id[:-8]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synthesised]:
    """The default deployment, of stage dev."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CDK_OUTDIR", "CDK_CONTEXT_JSON"):
            patch.delenv(name, raising=False)
        app, stacks = build(outdir=tmp_path_factory.mktemp("assembly"))
        assembly = app.synth()
        yield Synthesised(Path(assembly.directory), assembly.get_stack_by_name(stacks.platform.stack_name).template)

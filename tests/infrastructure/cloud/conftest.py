"""The stacks, synthesised once, and short ways into its template."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.app import PLATFORM, build


@dataclass(frozen=True)
class Synthesised:
    """One stack of an assembly on disk."""

    template_file: Path
    template: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        resources: dict[str, dict[str, Any]] = self.template.get("Resources", {})
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

    @property
    def functions(self) -> set[str]:
        """Names of the stack's functions, which are their folders, but for the one that works at its end only."""
        handlers = {function["Handler"] for function in self.of_type("AWS::Lambda::Function").values()}
        return {handler.split(".")[2] for handler in handlers} - {"emptying"}

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


def synthesise(outdir: Path, context: dict[str, object] | None = None) -> dict[str, Synthesised]:
    """Every stack by its id in the assembly."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CDK_OUTDIR", "CDK_CONTEXT_JSON"):
            patch.delenv(name, raising=False)
        app, _ = build(context, outdir)
        assembly = app.synth()
    return {stack.id: Synthesised(Path(stack.template_full_path), stack.template) for stack in assembly.stacks}


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesised]:
    """The default deployment, of stage dev."""
    return synthesise(tmp_path_factory.mktemp("dev"))


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesised]:
    """A deployment that keeps its data."""
    return synthesise(
        tmp_path_factory.mktemp("prod"), {"stage": "prod", "region": "eu-central-1", "account": "123456789012"}
    )


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The platform with the way for sensors that have no gateway, and with streams that scale by themselves."""
    return synthesise(tmp_path_factory.mktemp("raw"), {"ingest": "raw", "stream_mode": "on-demand"})[PLATFORM]


@pytest.fixture(scope="session")
def stack(dev: dict[str, Synthesised]) -> Synthesised:
    """The platform of the default deployment."""
    return dev[PLATFORM]

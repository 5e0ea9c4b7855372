"""Lays out each function's code as Lambda will see it: the same import paths as in the checkout, and no more files."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud import bytecode, paths

_FUNCTIONS = paths.ROOT / "cloud" / "functions"
_CONTRACT = paths.ROOT / "components" / "roadside" / "contract"


@dataclass(frozen=True, slots=True)
class StagedCode:
    """A folder to pack, and the hash of the sources in it."""

    folder: Path
    source_hash: str


def stage(function: str, into: Path = paths.LAMBDA_CODE) -> StagedCode:
    """Copy what `function` may import into a folder named after the sources' hash, once per hash.

    What was staged of other sources goes: an assembly holds its own copy of the code.

    Raises
    ------
    FileNotFoundError
        There is no such function.
    """
    if not (_FUNCTIONS / function / "handler.py").is_file():
        raise FileNotFoundError(f"no function at {_FUNCTIONS / function}")
    sources = sorted(_sources(function))
    digest = hashlib.sha256()
    for relative, source in sources:
        digest.update(f"{relative}\0{source.stat().st_size}\0".encode())
        digest.update(source.read_bytes())
    source_hash = digest.hexdigest()
    folder = into / f"{function}-{source_hash[:16]}"
    if not folder.is_dir():
        _copy(sources, folder)
    for stale in into.glob(f"{function}-*"):
        if stale != folder:
            shutil.rmtree(stale)
    return StagedCode(folder, source_hash)


def _sources(function: str) -> Iterator[tuple[str, Path]]:
    """Place in the package and source of every file."""
    yield "cloud/__init__.py", paths.ROOT / "cloud" / "__init__.py"
    yield "cloud/functions/__init__.py", _FUNCTIONS / "__init__.py"
    yield "roadside/__init__.py", _CONTRACT.parent / "__init__.py"
    for folder, place in (
        (_FUNCTIONS / function, f"cloud/functions/{function}"),
        (_FUNCTIONS / "shared", "cloud/functions/shared"),
        (_CONTRACT, "roadside/contract"),
    ):
        for source in folder.glob("*.py"):
            yield f"{place}/{source.name}", source


def _copy(sources: list[tuple[str, Path]], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="staging-") as scratch:
        staged = Path(scratch) / "code"
        for relative, source in sources:
            target = staged / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        bytecode.compile_tree(staged)
        try:
            staged.rename(folder)
        except OSError:  # another synthesis was faster; the hash says that its folder is the same
            if not folder.is_dir():
                raise

"""Compiles sources for Lambda, whose code folder is read-only: without this every cold start would compile anew.

The bytecode is "unchecked": CDK's zip resets the files' times, by which Python would otherwise judge it stale.
"""

import importlib.util
import py_compile
from pathlib import Path
from typing import Final

LAMBDA_PYTHON: Final = "3.11"


def compile_tree(root: Path) -> None:
    """Put bytecode beside every source below `root`; another Python than Lambda's leaves files Lambda ignores.

    Raises
    ------
    py_compile.PyCompileError
        A source with a syntax error.
    """
    for source in sorted(root.rglob("*.py")):
        py_compile.compile(
            str(source),
            cfile=importlib.util.cache_from_source(str(source), optimization=""),
            dfile=str(source.relative_to(root)),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )

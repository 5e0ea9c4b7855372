"""Where the cloud's sources and what is built from them lie."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".cache"
LAYER: Final = CACHE / "lambda-layer"
LAMBDA_CODE: Final = CACHE / "lambda-code"
ASSEMBLY: Final = ROOT / "cdk.out"
REQUIREMENTS: Final = ROOT / "cloud" / "functions" / "requirements.txt"
QUERIES: Final = ROOT / "cloud" / "sql"

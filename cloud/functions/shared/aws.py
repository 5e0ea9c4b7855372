"""How the functions talk to AWS: quick time-outs and few retries, because Lambda itself retries what fails."""

from typing import Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CLIENT_CONFIG: Final = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

# Whatever AWS may answer instead of doing what it was asked to.
AwsError: Final = (BotoCoreError, ClientError)


def error_code(error: ClientError) -> str:
    """AWS's name for the error, such as ConditionalCheckFailedException."""
    return error.response.get("Error", {}).get("Code", "")

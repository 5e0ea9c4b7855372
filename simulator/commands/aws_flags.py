"""The flags of `run --target aws`, and the question that is asked before anything is published there."""

from pathlib import Path
from typing import Annotated, Final

import typer

from simulator.commands.terminal import console
from simulator.run.options import AwsOptions, RunOptions

_PANEL: Final = "With --target aws"

Stage = Annotated[
    str | None,
    typer.Option(rich_help_panel=_PANEL, help="Stage of the deployed stack, dev if not said; see cloud/cdk.json."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(rich_help_panel=_PANEL, metavar="HOST:PORT", help="MQTT broker, if not the one the account names."),
]
Certificates = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_PANEL,
        help="Folder of <gateway>.pem and .key, where those made by claim are put; OUT/certificates if not said.",
    ),
]
ClaimCertificate = Annotated[
    Path | None, typer.Option(rich_help_panel=_PANEL, help="Claim certificate, for gateways without one of their own.")
]
ClaimKey = Annotated[Path | None, typer.Option(rich_help_panel=_PANEL, help="Its private key.")]
RootCa = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_PANEL, help="Authority of the broker's certificate, if not a public one."),
]
MaxMessages = Annotated[
    int | None, typer.Option(min=1, rich_help_panel=_PANEL, help="Publish no more; twice the estimate if not said.")
]
MaxUsd = Annotated[
    float | None,
    typer.Option(min=0.0, rich_help_panel=_PANEL, help="Publish no more than is estimated to cost so much."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", rich_help_panel=_PANEL, help="Say what the run would do and cost, and end.")
]
Yes = Annotated[bool, typer.Option("--yes", rich_help_panel=_PANEL, help="Publish without being asked.")]


def aws_options(
    stage: str | None,
    endpoint: str | None,
    certificates: Path | None,
    claim_certificate: Path | None,
    claim_key: Path | None,
    root_ca: Path | None,
    max_messages: int | None,
    max_usd: float | None,
) -> AwsOptions | None:
    """The options, or None where no flag is given."""
    given = AwsOptions(
        stage or "dev", endpoint, certificates, claim_certificate, claim_key, root_ca, max_messages, max_usd
    )
    return None if given == AwsOptions() and stage is None else given


def may_begin(options: RunOptions, *, dry_run: bool, yes: bool) -> bool:
    """Say what the run would do, and ask whether it shall.

    Raises
    ------
    CapError, CertificateError, CityError, CloudError, SiteError
    """
    from cloud.capacity.prices import load_prices
    from simulator.city.layout import make_city
    from simulator.fleet.claiming import read_folder
    from simulator.run.aws_plan import CapError, estimate, explanation, refuse_caps_too_low
    from simulator.run.aws_site import discover, reach, refuse_foreign_city
    from simulator.run.aws_target import certificates_folder, claim_pair

    aws = options.aws or AwsOptions()
    city = make_city(options.sensors, options.gateways, options.seed)
    site, prices = discover(aws), load_prices()
    refuse_foreign_city(site, city)
    reach(site)
    estimated = estimate(options, prices)
    folder = certificates_folder(options, aws)
    held = read_folder(folder, [gateway.gateway_id for gateway in city.gateways])
    for name, words in explanation(options, site, estimated, prices, folder, len(held)):
        console.print(f"[cyan]{name:>13}[/cyan]  {words}", highlight=False, soft_wrap=True)
    refuse_caps_too_low(estimated, aws)
    lacking = [gateway.gateway_id for gateway in city.gateways if gateway.gateway_id not in held]
    if lacking:
        claim_pair(aws, folder, lacking)
    if dry_run:
        console.print("This was a dry run: nothing was made, changed or published.")
        return False
    question = f"Publish at most {estimated.most_messages(aws):,} messages to account {site.account}, {site.region}?"
    try:
        if not yes and not typer.confirm(question):
            raise CapError("nothing was published: the question was answered with no")
    except typer.Abort as error:
        raise CapError("nothing was published, since nobody answered the question: give --yes") from error
    return True

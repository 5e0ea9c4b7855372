"""The simulator's command line: `python -m simulator --help`."""

import sys

import typer

from simulator.commands import local
from simulator.commands.city import city
from simulator.commands.compare import compare
from simulator.commands.evaluate import evaluate
from simulator.commands.health import health
from simulator.commands.learn import learn
from simulator.commands.plan import plan
from simulator.commands.replay import replay
from simulator.commands.report import report
from simulator.commands.run import run
from simulator.commands.verify import verify
from simulator.commands.week import week

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run a city on this machine: sensors, gateways, cloud and alerts, checked against an oracle.",
)
for command in (run, report, verify, compare, city, replay, learn, health, evaluate, plan, week):
    app.command()(command)
app.add_typer(local.app, name="local")

if __name__ == "__main__":
    sys.exit(app())

"""What summing up at the roadside saves: messages and bytes as measured, and a month's bill. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from cloud.capacity.city import City, CityError
from cloud.capacity.prices import Prices
from simulator.planning.plan import Plan, as_measured, as_operated, make_plan
from simulator.report import words
from simulator.report.drawing import COLOURS, LINE, Drawing

_GREAT_CITY: Final = 50_000  # sensors
_WIDTH: Final = 480.0


def reduction(report: Mapping[str, Any]) -> str:
    """Messages and bytes of the run beside those of sensors that publish each reading by themselves."""
    if not report.get("raw_messages") or report.get("messages_published") is None:
        return '<p class="empty">This run sent one way alone; <code>compare</code> sets both side by side.</p>'
    pairs = (
        ("messages", report["raw_messages"], report["messages_published"], words.count),
        ("bytes", report["raw_bytes"], report["bytes_published"], words.size),
    )
    return "".join(
        f"<p><strong>{words.number(raw / edge if edge else None)} times fewer {name}</strong></p>"
        f"{_bars(name, raw, edge, form)}"
        for name, raw, edge, form in pairs
    )


def _bars(name: str, raw: float, edge: float, form: Any) -> str:
    drawing = Drawing(_WIDTH, 62, f"{name}: {form(edge)} instead of {form(raw)}")
    longest = _WIDTH - 150
    for place, (who, value, colour) in enumerate((("every reading", raw, LINE), ("Roadside", edge, COLOURS[0]))):
        y = 6 + 28 * place
        drawing.say(88, y + 14, who, anchor="end")
        drawing.rect(94, y, max(1.5, (longest - 94) * value / max(raw, edge)), 20, colour)
        drawing.say(94 + max(1.5, (longest - 94) * value / max(raw, edge)) + 6, y + 14, form(value), strong=True)
    return drawing.render()


def monthly(report: Mapping[str, Any], prices: Prices) -> str:
    """A month on AWS of this city as measured, and of a great one."""
    plans = [("50,000 sensors, as planned", make_plan(City.of_sensors(_GREAT_CITY), as_operated(), prices))]
    own = _own(report, prices)
    if own is not None:
        plans.insert(0, (f"{report['sensors']:,} sensors, as in this run", own))
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td class="n"><strong>{words.usd(plan.ours.usd)}</strong></td>'
        f'<td class="n">{words.usd(plan.first.usd)}</td><td class="n">{words.number(plan.ratio)} times</td></tr>'
        for name, plan in plans
    )
    return (
        '<div class="scroll"><table><thead><tr><th scope="col">a month on AWS</th>'
        '<th scope="col" class="n">Roadside</th>'
        '<th scope="col" class="n">every reading sent</th><th scope="col" class="n">saves</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_services(*plans[-1])}"
        '<p class="note">This run is counted by its own messages, with the corrections that its late readings made. '
        f"Prices of {words.escape(prices.region)} as of {words.escape(prices.as_of)}; "
        "<code>python -m simulator plan</code> tells every line.</p>"
    )


def _own(report: Mapping[str, Any], prices: Prices) -> Plan | None:
    """The plan of the run's city, by the messages that it counted where it got so far."""
    try:
        return make_plan(*as_measured(report, as_operated()), prices)
    except CityError:
        pass  # the run did not get so far; its city can be planned all the same
    try:
        sensors, gateways = report["sensors"], report["gateways"]
        city = City(sensors, gateways, report["window_s"]) if gateways else City.of_sensors(sensors)
        return make_plan(city, as_operated(), prices)
    except (KeyError, CityError):
        return None


def _services(name: str, plan: Plan) -> str:
    """What the bill is made of: one bar."""
    services = list(plan.ours.by_service().items())
    shown = services[:4]
    rest = sum(usd for _, usd in services[4:])
    drawing = Drawing(_WIDTH, 62, f"Roadside's bill for {name} by service")
    x = 4.0
    parts = [*shown, ("others", rest)]
    for place, (service, usd) in enumerate(parts):
        width = (_WIDTH - 8) * usd / plan.ours.usd
        fill = COLOURS[place] if place < len(COLOURS) else LINE
        drawing.rect(x, 22, max(0.0, width - 1.5), 22, fill, f"{service}: {words.usd(usd)} a month")
        if width > 62:
            drawing.say(x + 2, 16, service)
            drawing.say(x + 2, 58, words.usd(usd), strong=True)
        x += width
    return f"<p>What the bill is made of ({name}):</p>{drawing.render()}"

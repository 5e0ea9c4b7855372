"""The map of the city and the diagram of a corridor: what the page's script fills with pictures. Pure."""

from typing import Any

from simulator.report import incidents, words

_SCALE = (
    '<span class="scale"><span>free</span><i aria-hidden="true"></i><span>standing</span></span>'
    '<span><i class="unknown" aria-hidden="true"></i>no vehicle</span>'
)
_CROSS = (
    '<svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true">'
    '<path d="M-5,-5L5,5M-5,5L5,-5" stroke="var(--ink)" stroke-width="2.5"/></svg>'
)
_PLAY = (
    '<svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true"><path class="start" d="M-5,-8L8,0L-5,8Z"/>'
    '<path class="pause" d="M-6,-7h4V7h-4ZM2,-7h4V7h-4Z"/></svg>'
)


def _sign(way: str, *, hollow: bool = False) -> str:
    fill = "none" if hollow else "var(--ink)"
    return (
        f'<svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true">'
        f'<path d="{way}" fill="{fill}" stroke="var(--ink)" stroke-width="1.8"/></svg>'
    )


def city_map(data: dict[str, Any]) -> str:
    """Every segment where it lies, at a moment that the reader chooses."""
    if not data["frame_s"]:
        return '<p class="empty">No window of this run is stored, so there is nothing to show on a map.</p>'
    last = len(data["frame_s"]) - 1
    worst = max(range(last + 1), key=lambda frame: data["congested"][frame])
    most = data["congested"][worst]
    label = (
        f"Map of {len(data['x']):,} road segments coloured by congestion. At the worst moment, "
        f"{words.clock(data['frame_s'][worst])}, {most:,} of them are congested."
    )
    return (
        f'<p class="legend">{_SCALE}<span>{_CROSS}incident (truth)</span></p>'
        f'<div class="beside"><div class="map"><canvas id="map" role="img" aria-label="{words.escape(label)}"></canvas>'
        '<output id="map-tip" class="tip" hidden></output></div>'
        '<div><h3 id="districts-title">Congested, by district</h3>'
        '<ol id="districts" aria-labelledby="districts-title"></ol></div></div>'
        f'<div class="player"><button id="play" type="button" aria-label="Play the run">{_PLAY}</button>'
        f'<input id="time" type="range" min="0" max="{last}" value="{worst}" step="1" aria-label="Time of the run">'
        '<output id="now" for="time" aria-live="polite"></output></div>'
        "<noscript><p>The map needs JavaScript; its numbers are in segments.npz beside report.json.</p></noscript>"
    )


def corridor(data: dict[str, Any]) -> str:
    """Time and place along one road."""
    if not data["frame_s"]:
        return '<p class="empty">No window of this run is stored, so there is no traffic to show.</p>'
    return (
        '<p><label for="corridor">Road: </label><select id="corridor"></select></p>'
        f'<p class="legend">{_SCALE}'
        '<span><i class="incident" aria-hidden="true"></i>incident (truth)</span>'
        f"<span>{_sign('M0,-7L7,5H-7Z')}congestion told</span><span>{_sign('M0,7L7,-5H-7Z', hollow=True)}cleared</span>"
        f"<span>{_sign('M0,-8L7,0L0,8L-7,0Z')}incident told</span></p>"
        f'<div id="time-space"></div>{incidents.summary(data)}'
        "<noscript><p>The diagram needs JavaScript.</p></noscript>"
    )

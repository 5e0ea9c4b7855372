// Draws the map at the moment that is chosen, and the chosen road over time. The data are in the element "city".
(() => {
  "use strict";
  const canvas = document.getElementById("map");
  if (!canvas) return; // no window was stored, or none was made
  const city = JSON.parse(document.getElementById("city").textContent);

  const UNKNOWN = 255;
  const STOPS = [[59, 111, 182], [143, 195, 223], [253, 227, 155], [245, 138, 75], [178, 24, 43]];
  const COLOURS = Array.from({ length: 101 }, (_, level) => {
    const place = level / 25, index = Math.min(Math.floor(place), 3), share = place - index;
    const mixed = STOPS[index].map((channel, c) => Math.round(channel + (STOPS[index + 1][c] - channel) * share));
    return `rgb(${mixed.join(",")})`;
  });
  const levels = Uint8Array.from(atob(city.levels), (letter) => letter.charCodeAt(0));
  const segments = city.x.length, frames = city.frame_s.length;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const level = (frame, segment) => levels[frame * segments + segment];
  const clock = (s) => {
    const whole = Math.round(Math.abs(s)), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const two = (n) => String(n).padStart(2, "0");
    return (s < 0 ? "−" : "") + (hours ? `${hours}:${two(minutes)}` : `${minutes}`) + `:${two(whole % 60)}`;
  };
  const words = (value) => value.toLocaleString("en");
  const escaped = (text) => String(text).replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

  // ---- the map
  const slider = document.getElementById("time"), now = document.getElementById("now"), play = document.getElementById("play");
  const tip = document.getElementById("map-tip");
  const PAD = 26;
  let scale = 1, left = PAD, top = PAD;
  const at = (segment) => [left + city.x[segment] * scale, top + city.y[segment] * scale];

  function strokes() {
    // A segment reaches half of the way to its neighbours on the road, where those are as near as neighbours are.
    const found = new Array(segments);
    const apart = (a, b) => Math.hypot(city.x[a] - city.x[b], city.y[a] - city.y[b]);
    const steps = city.corridors.flatMap((road) => road.slice(1).map((segment, index) => apart(segment, road[index])));
    const far = 3 * (steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] || 0);
    for (const road of city.corridors) {
      road.forEach((segment, index) => {
        const middle = (other) => {
          if (other === undefined) return [city.x[segment], city.y[segment]];
          if (apart(other, segment) > far) return [city.x[segment], city.y[segment]];
          return [(city.x[segment] + city.x[other]) / 2, (city.y[segment] + city.y[other]) / 2];
        };
        found[segment] = [middle(road[index - 1]), [city.x[segment], city.y[segment]], middle(road[index + 1])];
      });
    }
    return found;
  }
  const lines = strokes();

  function draw() {
    const frame = Number(slider.value), width = canvas.clientWidth;
    const inner = width - 2 * PAD;
    const most = Math.max(240, Math.min(window.innerHeight * 0.75, 640)) - 2 * PAD;
    scale = Math.min(inner / Math.max(city.width, 1), most / Math.max(city.height, 1));
    const height = Math.round(Math.max(120, city.height * scale + 2 * PAD));
    left = (width - city.width * scale) / 2;
    top = PAD + (height - 2 * PAD - city.height * scale) / 2;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio); pen.lineCap = "round"; pen.lineJoin = "round";
    const base = Math.max(2, Math.min(7, 0.16 * Math.sqrt(width * height / segments)));
    const order = Array.from({ length: segments }, (_, segment) => segment)
      .sort((a, b) => (level(frame, a) + 1) % 256 - (level(frame, b) + 1) % 256); // the worst on top, unknown below
    const unknown = style("--unknown");
    for (const segment of order) {
      const value = level(frame, segment);
      pen.strokeStyle = value === UNKNOWN ? unknown : COLOURS[value];
      pen.lineWidth = base * (city.freeway[segment] ? 1.5 : 1) * (value !== UNKNOWN && value > 50 ? 1.35 : 1);
      const [from, middle, to] = lines[segment];
      pen.beginPath();
      pen.moveTo(left + from[0] * scale, top + from[1] * scale);
      pen.lineTo(left + middle[0] * scale, top + middle[1] * scale);
      pen.lineTo(left + to[0] * scale, top + to[1] * scale);
      pen.stroke();
    }
    crosses(pen, frame);
    names(pen, width);
    kilometres(pen, height);
    const until = city.frame_s[frame] + city.frame_length_s;
    const share = Math.round(100 * city.congested[frame] / segments);
    now.textContent = `${clock(until)}: ${words(city.congested[frame])} of ${words(segments)} segments congested (${share} %)`;
    slider.setAttribute("aria-valuetext", now.textContent);
    districts(frame);
  }

  function crosses(pen, frame) {
    const from = city.frame_s[frame], until = from + city.frame_length_s;
    const size = segments > 2000 ? 3.5 : 5;
    for (const [segment, , start, end, lanes] of city.incidents) {
      if (start >= until || end <= from || lanes === 0) continue;
      const [x, y] = at(segment);
      for (const [colour, width] of [[style("--halo"), 4.5], [style("--ink"), 2]]) {
        pen.strokeStyle = colour; pen.lineWidth = width;
        pen.beginPath();
        pen.moveTo(x - size, y - size); pen.lineTo(x + size, y + size);
        pen.moveTo(x - size, y + size); pen.lineTo(x + size, y - size);
        pen.stroke();
      }
    }
  }

  function names(pen, width) {
    if (width < 500) return;
    pen.font = "600 13px system-ui, sans-serif"; pen.textAlign = "center";
    city.districts.forEach((name, index) => {
      let x = 0, y = 0, count = 0;
      city.district.forEach((of, segment) => {
        if (of === index) { x += city.x[segment]; y += city.y[segment]; count += 1; }
      });
      if (!count) return;
      const place = [left + x / count * scale, top + y / count * scale - 12];
      pen.lineWidth = 4; pen.strokeStyle = style("--shade"); pen.strokeText(name, ...place);
      pen.fillStyle = style("--ink"); pen.fillText(name, ...place);
    });
  }

  function kilometres(pen, height) {
    const km = [0.5, 1, 2, 5, 10, 20, 50].find((each) => each * 1000 / city.metres_per_step * scale > 50) || 100;
    const length = km * 1000 / city.metres_per_step * scale;
    pen.strokeStyle = pen.fillStyle = style("--muted"); pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(12, height - 8); pen.lineTo(12 + length, height - 8); pen.stroke();
    pen.font = "12px system-ui, sans-serif"; pen.textAlign = "left"; pen.fillText(`${km} km`, 18 + length, height - 5);
  }

  const inDistrict = city.districts.map((_, index) => city.district.filter((of) => of === index).length);
  function districts(frame) {
    const rows = city.districts.map((name, index) => ({ name, count: city.congested_by_district[frame][index], of: inDistrict[index] }));
    rows.sort((a, b) => b.count / b.of - a.count / a.of || a.name.localeCompare(b.name));
    document.getElementById("districts").innerHTML = rows.map(({ name, count, of }) => {
      const share = 100 * count / of;
      return `<li><span>${escaped(name)}</span><b>${share.toFixed(share > 0 && share < 10 ? 1 : 0)} %</b>`
        + `<i aria-hidden="true"><i style="width:${Math.min(100, share)}%"></i></i></li>`;
    }).join("");
  }

  function speedWords(frame, segment) {
    const value = level(frame, segment);
    if (value === UNKNOWN) return "no vehicle";
    return `about ${Math.round((1 - value / 100) * city.free_flow_kmh[segment])} km/h, congestion level ${value}`;
  }

  const numberOf = {};
  const nameOf = city.gateway.map((gateway) => {
    numberOf[gateway] = (numberOf[gateway] ?? -1) + 1;
    return `${city.gateways[gateway]}-seg${String(numberOf[gateway]).padStart(2, "0")}`;
  });

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    let best = -1, least = 16 ** 2;
    for (let segment = 0; segment < segments; segment += 1) {
      const [x, y] = at(segment), distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) { least = distance; best = segment; }
    }
    tip.hidden = best < 0;
    if (best < 0) return;
    tip.textContent = `${nameOf[best]}, ${city.districts[city.district[best]]}: ${speedWords(Number(slider.value), best)}`;
    tip.style.left = `${Math.max(0, Math.min(px + 12, canvas.clientWidth - 235))}px`;
    tip.style.top = `${py + 14}px`;
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });

  let timer = 0;
  function stop() {
    clearInterval(timer); timer = 0; play.classList.remove("playing"); play.setAttribute("aria-label", "Play the run");
  }
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (Number(slider.value) >= frames - 1) slider.value = 0;
    play.classList.add("playing"); play.setAttribute("aria-label", "Pause"); draw();
    timer = setInterval(() => {
      if (Number(slider.value) >= frames - 1) { stop(); return; }
      slider.value = Number(slider.value) + 1; draw();
    }, Math.max(60, Math.min(700, 12000 / frames)));
  });
  slider.addEventListener("input", () => { stop(); draw(); });

  // ---- one road over time
  const chooser = document.getElementById("corridor"), board = document.getElementById("time-space");
  const corridorOf = new Array(segments);
  city.corridors.forEach((road, number) => road.forEach((segment) => { corridorOf[segment] = number; }));
  const counted = (list, number) => list.filter((each) => corridorOf[each[0]] === number);
  const many = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;
  for (const number of city.order) {
    const road = city.corridors[number], option = document.createElement("option");
    const kind = city.freeway[road[0]] ? "freeway" : "street";
    option.value = number;
    option.textContent = `${kind} ${number + 1} in ${city.districts[city.district[road[0]]]}: `
      + `${many(counted(city.incidents, number).length, "incident")}, ${many(counted(city.alerts, number).length, "alert")}`;
    chooser.append(option);
  }
  // Shapes rather than letters, which not every font has.
  const SIGNS = { CongestionStarted: "M0,-7L7,5H-7Z", CongestionCleared: "M0,7L7,-5H-7Z" };
  const OTHER_SIGN = "M0,-8L7,0L0,8L-7,0Z";

  function road() {
    const number = Number(chooser.value), members = city.corridors[number];
    const width = Math.max(300, board.clientWidth), narrow = width < 560;
    const edge = { left: narrow ? 40 : 58, right: 10, top: 10, bottom: 42 };
    const length = members.reduce((sum, segment) => sum + city.length_m[segment], 0) || 1;
    const height = edge.top + edge.bottom + Math.max(180, Math.min(380, members.length * 26));
    const from = Math.min(0, city.frame_s[0]), until = city.frame_s[frames - 1] + city.frame_length_s;
    const x = (s) => edge.left + (width - edge.left - edge.right) * (Math.min(Math.max(s, from), until) - from) / (until - from);
    const y = (m) => height - edge.bottom - (height - edge.top - edge.bottom) * m / length;
    const place = (segment) => city.place_m[segment] - city.place_m[members[0]];
    const parts = [];
    const text = (px, py, words, extra = "") => parts.push(`<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" fill="var(--muted)" ${extra}>${escaped(words)}</text>`);
    for (const segment of members) {
      const above = y(place(segment) + city.length_m[segment]), tall = y(place(segment)) - above;
      for (let frame = 0; frame < frames; frame += 1) {
        const value = level(frame, segment), start = x(city.frame_s[frame]);
        const wide = x(city.frame_s[frame] + city.frame_length_s) - start;
        const fill = value === UNKNOWN ? "var(--unknown)" : COLOURS[value];
        parts.push(`<rect x="${start.toFixed(1)}" y="${above.toFixed(1)}" width="${(wide + 0.4).toFixed(1)}" height="${(tall - 1).toFixed(1)}" fill="${fill}">`
          + `<title>${nameOf[segment]}, ${clock(city.frame_s[frame])}: ${speedWords(frame, segment)}</title></rect>`);
      }
    }
    for (const [segment, into, start, end, lanes] of counted(city.incidents, number)) {
      const middle = y(place(segment) + into), title = `incident, ${clock(start)} to ${clock(end)}, ${lanes ? many(lanes, "lane") + " blocked" : "on the shoulder"}`;
      const box = `x="${x(start).toFixed(1)}" y="${(middle - 6).toFixed(1)}" width="${Math.max(4, x(end) - x(start)).toFixed(1)}" height="12" rx="2" fill="none"`;
      const dashes = lanes ? "" : ' stroke-dasharray="4 3"';
      parts.push(`<g><title>${title}</title><rect ${box} stroke="#fff" stroke-width="5"/><rect ${box} stroke="#000" stroke-width="2.2"${dashes}/></g>`);
    }
    for (const [segment, seconds, kind, received] of counted(city.alerts, number)) {
      const name = city.kinds[kind], middle = y(place(segment) + city.length_m[segment] / 2);
      const title = `${name.replace(/([A-Z])/g, " $1").trim().toLowerCase()}, window until ${clock(seconds)}, received ${clock(received)}, ${nameOf[segment]}`;
      const fill = name.endsWith("Cleared") ? "#fff" : "#000";
      parts.push(`<path class="sign" transform="translate(${x(seconds).toFixed(1)} ${middle.toFixed(1)})" d="${SIGNS[name] || OTHER_SIGN}" fill="${fill}" stroke="${fill === "#000" ? "#fff" : "#000"}" stroke-width="1.8"><title>${title}</title></path>`);
    }
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
    const step = steps.find((each) => (until - from) / each <= (narrow ? 5 : 10)) || 86400;
    for (let s = Math.ceil(from / step) * step; s <= until; s += step) text(x(s), height - edge.bottom + 16, clock(s), 'text-anchor="middle"');
    text((edge.left + width) / 2, height - 7, "time since the start of the run (min:s)", 'text-anchor="middle"');
    const km = [0.5, 1, 2, 5, 10, 20].find((each) => length / 1000 / each <= 6) || 50;
    for (let m = 0; m <= length; m += 1000 * km) text(edge.left - 6, y(m) + 4, String(m / 1000), 'text-anchor="end"');
    text(12, (height - edge.bottom) / 2, "km along the road", `text-anchor="middle" transform="rotate(-90 12 ${((height - edge.bottom) / 2).toFixed(1)})"`);
    const label = `${chooser.selectedOptions[0].textContent}. Congestion by time and place; incidents as boxes, alerts as triangles.`;
    board.innerHTML = `<svg viewBox="0 0 ${width} ${height}" style="font-size:13px" role="img" aria-label="${escaped(label)}">${parts.join("")}</svg>`;
  }
  chooser.addEventListener("change", road);

  const redraw = () => { draw(); road(); };
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(redraw); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
})();

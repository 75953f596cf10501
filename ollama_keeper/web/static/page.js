// The page of ollama-keeper. It only reads /status, /history and /events, and shows every name as text. Commands are
// sent with a token that is typed in, where the keeper takes any.
"use strict";

const POLL_S = 5, POLL_LIVE_S = 10, STALE_S = 25, HISTORY_S = 60, DAY_S = 86400;
const SHOWN_EVENTS = 60, SHOWN_NEXT = 6, FEW_SERVERS = 6, FEW_MODELS = 12, LONGEST_NAME = 160;
const WELL = new Set(["ready", "degraded", "guest"]);
const NOT_ASKED = new Set(["off_hours", "paused"]);
const KIND_OF = {
  ready: "warm", degraded: "warm", loading: "loading", yielding: "yielding", unknown: "unknown",
  paused: "unwanted", off_hours: "unwanted", refused: "unwanted", over_budget: "unwanted",
}; // all else is cold
const STEPS = { warm: "warm", ping: "ping", repin: "re-pin", probe: "probe", unload: "unload", resume: "resume", pull: "pull" };

const $ = (id) => document.getElementById(id);
const known = {
  about: { version: "", control: false, words: {} }, status: null, at: 0, skew: 0, failed: "",
  past: new Map(), events: [], live: false, pasts: "unasked",
};

// --- words ----------------------------------------------------------------------------------------------------------

// What a terminal or a reader may obey instead of showing: control signs, and those that turn the direction of text.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

function shown(text, most = LONGEST_NAME) {
  const plain = String(text).replace(UNSAFE, "\ufffd");
  return plain.length > most ? plain.slice(0, most - 1) + "\u2026" : plain;
}

const spoken = (word) => String(word).replaceAll("_", " ");
const why = (reason) => (reason ? known.about.words[reason] || spoken(reason) : "");

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const from = parts.findIndex(([size]) => s >= size);
  if (from < 0) return "0s";
  const [size, unit] = parts[from], next = parts[from + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return `${Math.floor(s / size)}${unit}` + (rest ? ` ${rest}${next[1]}` : "");
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0, value = bytes;
  while (value >= 1024 && power < 4) { value /= 1024; power += 1; }
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

function share(fraction, digits = 1) {
  const value = 100 * fraction;
  return (value >= 100 ? "100" : Math.min(Math.floor(value * 10 ** digits) / 10 ** digits, 99.9).toFixed(digits)) + " %";
}

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const seconds = (iso) => Date.parse(iso) / 1000;
const now = () => Date.now() / 1000 + known.skew; // by the keeper's clock: this one may be set otherwise
const age = (iso) => now() - seconds(iso);
const local = (iso) => new Date(seconds(iso) * 1000).toLocaleString();
const clock = (iso) => {
  const at = new Date(seconds(iso) * 1000), today = at.toDateString() === new Date().toDateString();
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })
    + (today ? "" : ` \u00b7 ${at.toLocaleDateString([], { day: "numeric", month: "short" })}`);
};

// --- elements -------------------------------------------------------------------------------------------------------

function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
  if (value === null || value === "") element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Brings the children of an element in line with items: made once a key, kept, in order. */
function keyed(parent, items, key, create, update) {
  const there = parent.parts || (parent.parts = new Map()), seen = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    if (seen.has(name)) continue;
    seen.add(name);
    let part = there.get(name);
    if (!part) { part = create(item); there.set(name, part); }
    if (part !== place) parent.insertBefore(part, place); else place = place.nextElementSibling;
    update(part, item);
  }
  for (const [name, part] of there) if (!seen.has(name)) { part.remove(); there.delete(name); }
}

/** A number that goes on by itself between two answers: an age, or the time that is left. */
function tick(element, since, until) {
  element.ticks = { since, until };
  advance(element);
}

function advance(element) {
  const { since, until } = element.ticks;
  if (since) say(element, span(now() - since));
  else if (until !== null) say(element, until - now() > 0.5 ? `in ${span(until - now())}` : "now");
}

// --- servers --------------------------------------------------------------------------------------------------------

function serverPart(server) {
  const parts = {
    name: make("h2", { class: "name" }), told: make("span", { class: "told" }), count: make("span", { class: "count" }),
    bar: make("div", { class: "bar", "aria-hidden": "true" }), legend: make("p", { class: "told" }), table: tablePart(),
    blank: make("p", { class: "empty" }),
  };
  const summary = make("summary", {}, parts.name, parts.told, parts.count);
  const memory = make("div", { class: "memory" }, parts.bar, parts.legend);
  const inner = make("div", { class: "inner" }, memory, parts.table, parts.blank);
  const part = make("details", { class: "server" }, summary, inner);
  part.addEventListener("toggle", () => { if (part.open) drawModels(part); });
  summary.addEventListener("click", () => { part.chosen = true; });
  return Object.assign(part, { of: parts, memory, server });
}

function tablePart() {
  const heads = [["Model"], ["Why", "status"], ["Since"], ["Until"], ["Context", "num"], ["On GPU", "num"], ["Memory", "num"], ["Next", "num"]];
  const row = make("tr", { role: "row" }, ...heads.map(([text, kind]) => make("th", { class: kind || "", role: "columnheader", scope: "col" }, text)));
  return make("table", { role: "table" }, make("thead", { role: "rowgroup" }, row));
}

function drawServer(part, server, models) {
  const wanted = models.filter((model) => model.state !== "guest"), ready = wanted.filter((model) => WELL.has(model.state));
  const trouble = troubled(server, models);
  const of = part.of;
  part.server = server;
  part.models = models;
  say(of.name, shown(server.name));
  mark(of.name, "title", server.name.length > 40 ? shown(server.name, 1000) : "");
  mark(part, "data-state", server.state);
  drawTold(of.told, server);
  say(of.count, wanted.length ? `${ready.length} of ${wanted.length} ready` : "no model wanted");
  drawMemory(part, server, models);
  part.classList.toggle("old", server.state === "down" || server.state === "waiting");
  if (!part.chosen) part.open = known.status.servers.length <= FEW_SERVERS || trouble;
  mark(of.table, "aria-label", `Models on ${shown(server.name)}`);
  of.table.hidden = !models.length;
  of.blank.hidden = models.length > 0;
  say(of.blank, server.state === "up" ? "No model is to be kept here, and none is resident." : "");
  if (part.open) drawModels(part);
}

function drawTold(told, server) {
  if (!told.tag) {
    told.tag = make("span", { class: "tag" });
    told.text = make("span");
    told.append(told.tag, " ", told.text);
  }
  say(told.tag, server.state);
  told.tag.className = `tag t-${server.state}`;
  const parts = [
    server.state === "up" ? "" : why(server.reason),
    server.version ? `Ollama ${shown(server.version, 30)}` : "",
    server.looked ? `seen ${span(age(server.looked))} ago` : "never answered yet",
  ];
  say(told.text, parts.filter(Boolean).join(" \u00b7 "));
}

function drawMemory(part, server, models) {
  const { bar, legend } = part.of;
  const taken = (some) => some.reduce((sum, model) => sum + (model.size_bytes || 0), 0);
  const ours = taken(models.filter((model) => model.state !== "guest")), guests = taken(models.filter((model) => model.state === "guest"));
  const budget = server.budget_bytes, used = ours + guests;
  part.memory.hidden = !used && (!budget || server.state !== "up"); // nothing is known of one that does not answer
  const over = budget === null ? 0 : Math.max(0, used - budget);
  const whole = Math.max(budget || 0, used) || 1;
  const items = [
    ["ours", ours, `ours ${size(ours)}`], ["guests", Math.max(0, guests - over), guests ? `guests ${size(guests)}` : ""],
    ["over", over, over ? `${size(over)} over the budget` : ""],
    ["free", 0, budget === null ? "" : over ? "" : `${size(budget - used)} free of ${size(budget)}`],
  ].filter((item) => item[2]);
  if (over && ours > budget) items[0][1] = Math.max(0, ours - over + Math.min(guests, over));
  keyed(bar, items.filter((item) => item[1]), (item) => item[0], (item) => make("i", { class: item[0] }), (piece, item) => { piece.style.width = `${(100 * item[1]) / whole}%`; });
  const words = [...items];
  if (server.budget_models !== null) {
    const resident = models.filter((model) => model.resident).length;
    words.push(["count", 0, `${resident} of ${server.budget_models} models resident`]);
  }
  if (budget === null) words.push(["none", 0, "no memory budget is set"]);
  keyed(legend, words, (item) => item[0], (item) => make("span", { class: item[0] }, ...(item[0] === "count" || item[0] === "none" ? [] : [make("i")]), make("span")), (piece, item) => say(piece.lastChild, item[2]));
}

// --- models ---------------------------------------------------------------------------------------------------------

const id = (model) => `${model.server}\n${model.model}\n${model.state === "guest"}`;

function drawModels(part) {
  const body = part.of.table;
  const rows = part.models.filter(matches);
  keyed(body, [null, ...rows], (model) => (model ? id(model) : "head"), (model) => (model ? modelPart(model) : body.tHead), (row, model) => { if (model) drawModel(row, model); });
}

function modelPart(model) {
  const cell = (label, kind = "num") => make("td", { role: "cell", class: kind, "data-label": label });
  const of = {
    name: make("th", { role: "rowheader", scope: "row" }), status: make("td", { role: "cell", class: "status" }), since: cell("Since", "when"),
    until: cell("Until", "when"), context: cell("Context"), gpu: cell("On GPU"), memory: cell("Memory"), next: cell("Next"),
  };
  of.why = make("span", { class: "why" });
  of.tag = make("span", { class: "tag" });
  of.status.append(of.why, " ", of.tag);
  of.age = make("time");
  of.since.append(of.age);
  of.label = make("span", { class: "name" });
  of.optional = make("span", { class: "optional" });
  of.name.append(of.label, of.optional);
  const part = make("tbody", { class: "model", role: "rowgroup" }, make("tr", { role: "row", class: model.state === "guest" ? "guest" : "" }, of.name, of.status, of.since, of.until, of.context, of.gpu, of.memory, of.next));
  if (model.state !== "guest") part.append(pastPart(of));
  return Object.assign(part, { of });
}

function pastPart(of) {
  of.strip = make("div", { class: "strip", role: "group" });
  of.avail = make("div", { class: "avail" });
  of.acts = make("div", { class: "acts" });
  const line = make("div", { class: "past" }, of.strip, of.avail, of.acts);
  return make("tr", { role: "row" }, make("td", { role: "cell", class: "wide", colspan: "8" }, line));
}

function drawModel(part, model) {
  const of = part.of;
  part.model = model;
  say(of.label, shown(model.model));
  mark(of.label, "title", model.model.length > 40 ? shown(model.model, 1000) : "");
  say(of.optional, model.state === "guest" ? " \u00b7 not ours" : model.required ? "" : " \u00b7 not required");
  drawStatus(of, model);
  mark(of.age, "datetime", model.since);
  mark(of.age, "title", model.since ? local(model.since) : "");
  if (model.since) tick(of.age, seconds(model.since), null); else say(of.age, "");
  drawUntil(of.until, model);
  say(of.context, model.context_length === null ? "" : model.context_length.toLocaleString());
  say(of.gpu, model.gpu_fraction === null ? "" : model.gpu_fraction > 0 ? share(model.gpu_fraction, 0) : "none");
  of.gpu.classList.toggle("share", model.gpu_fraction > 0 && model.gpu_fraction < 1);
  say(of.memory, model.size_bytes ? size(model.size_bytes) : "");
  drawNext(of.next, model);
  if (model.state === "guest") return;
  drawPast(of, model);
  const parts = availability(model), text = parts.map((part) => part.textContent || part).join("");
  if (of.avail.textContent !== text) of.avail.replaceChildren(...parts);
  drawActs(of.acts, model);
}

const pausedBy = (model) => `by ${shown(model.paused_by, 60)}` + (model.paused_note ? `: ${shown(model.paused_note, 200)}` : "");

function drawStatus(of, model) {
  const pulled = model.pulled_fraction === null || model.pulled_fraction === undefined ? "" : `, ${share(model.pulled_fraction, 0)}`;
  const reason = model.state === "guest" ? "" : model.paused_by ? pausedBy(model) : why(model.reason) + pulled;
  say(of.why, reason);
  say(of.tag, spoken(model.state));
  if (of.tag.dataset.state !== model.state) {
    of.tag.dataset.state = model.state;
    of.tag.className = `tag t-${model.state}`;
  }
}

function drawUntil(cell, model) {
  mark(cell, "title", model.until && model.until !== "forever" ? local(model.until) : "");
  if (!model.until) say(cell, "");
  else if (model.until === "forever") say(cell, "forever");
  else if (model.remaining_s !== null && model.remaining_s <= 0) say(cell, "overdue");
  else { cell.ticks = null; say(cell, `${span(Math.max(0, model.remaining_s - (now() - known.at)))} left`); }
}

function drawNext(cell, model) {
  if (!model.next) { say(cell, ""); return; }
  const left = model.next_s === null ? "" : ` in ${span(Math.max(0, model.next_s - (now() - known.at)))}`;
  say(cell, (STEPS[model.next] || spoken(model.next)) + (left === " in 0s" ? " now" : left));
}

// --- the last 24 hours ----------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, props) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(props)) element.setAttribute(key, value);
  return element;
}

function drawPast(of, model) {
  const past = known.past.get(idOf(model));
  const stamp = past ? past.stamp : known.pasts;
  if (of.strip.stamp === stamp) return;
  of.strip.stamp = stamp;
  const losses = past ? clustered(past.losses, past) : [];
  mark(of.strip, "aria-label", told24(past, model));
  if (!of.strip.svg) {
    of.strip.svg = shape("svg", { viewBox: `0 0 ${DAY_S} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
    of.strip.append(of.strip.svg);
  }
  of.strip.svg.replaceChildren(...(past ? bands(past) : []));
  for (const old of of.strip.querySelectorAll(".loss")) if (!losses.length || old !== document.activeElement) old.remove();
  of.strip.append(...losses.map((group, index) => lossPart(group, index)));
}

function bands(past) {
  const begin = past.to - DAY_S;
  const parts = past.spans.filter((one) => one.kind !== "unknown" && one.to > begin).map((one) => {
    const from = Math.max(one.from, begin) - begin;
    return shape("rect", { x: from, width: Math.max(one.to - begin - from, 1), y: 0, height: 10, class: `k-${one.kind}` });
  });
  for (const hour of [6, 12, 18]) parts.push(shape("line", { x1: hour * 3600, x2: hour * 3600, y1: 0, y2: 10, class: "hour" }));
  return parts;
}

/** Losses that would lie on each other are one mark. */
function clustered(losses, past) {
  const groups = [], near = DAY_S / 45;
  for (const loss of losses.filter((one) => one.at > past.to - DAY_S)) {
    const last = groups.at(-1);
    if (last && loss.at - last.at < near) last.losses.push(loss);
    else groups.push({ at: loss.at, place: (loss.at - past.to + DAY_S) / DAY_S, losses: [loss] });
  }
  return groups;
}

function lossPart(group, index) {
  const lines = group.losses.slice(-4).map((loss) => `${clock(new Date(loss.at * 1000).toISOString())}  ${lossWords(loss)}`);
  if (group.losses.length > 4) lines.unshift(`${group.losses.length} losses, the last of them:`);
  const text = lines.join("\n");
  const part = make("button", { class: "loss", type: "button", "aria-label": `loss: ${text}`, tabindex: index ? "-1" : "0" });
  part.style.left = `${100 * group.place}%`;
  for (const kind of ["mouseenter", "focus"]) part.addEventListener(kind, () => tip(part, text));
  for (const kind of ["mouseleave", "blur"]) part.addEventListener(kind, () => tip(null));
  part.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const all = [...part.parentElement.querySelectorAll(".loss")], other = all[all.indexOf(part) + step];
    if (event.key === "Escape") tip(null);
    if (!step || !other) return;
    event.preventDefault();
    for (const one of all) one.tabIndex = one === other ? 0 : -1;
    other.focus();
  });
  return part;
}

const lossWords = (loss) => `lost: ${loss.displaced_by ? `displaced by ${shown(loss.displaced_by)}` : why(loss.cause)}`
  + (loss.outage_s ? `, absent for ${span(loss.outage_s)}` : "");

function told24(past, model) {
  if (!past) return "The last 24 hours are not known";
  const losses = past.losses.filter((loss) => loss.at > past.to - DAY_S).length;
  return `Last 24 hours: ${model.warm_day === null ? "" : `warm ${share(model.warm_day)}, `}${plural(losses, "loss", "losses")}`
    + (losses ? "; left and right go from one to the next" : "");
}

function availability(model) {
  const figure = (value, span) => [make("b", {}, value === null ? "\u2013" : share(value, 1)), ` ${span}`];
  if (model.warm_day === null && model.warm_month === null) return ["not recorded yet"];
  return [...figure(model.warm_day, "24 h"), " \u00b7 ", ...figure(model.warm_month, "30 d")];
}

function tip(anchor, text) {
  const box = $("tip") || document.body.appendChild(make("div", { id: "tip", class: "tip", "aria-hidden": "true" }));
  box.hidden = !anchor;
  if (!anchor) return;
  say(box, text);
  const at = anchor.getBoundingClientRect(), own = box.getBoundingClientRect();
  box.style.left = `${Math.min(Math.max(8, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 8)}px`;
  box.style.top = `${at.top - own.height - 6 > 4 ? at.top - own.height - 6 : at.bottom + 6}px`;
}

// --- the whole ------------------------------------------------------------------------------------------------------

const needed = (model) => model.required && !WELL.has(model.state) && !NOT_ASKED.has(model.state);
const troubled = (server, models) => server.state !== "up" || models.some((model) => model.state !== "guest" && needed(model));

function matches(model) {
  const query = $("query").value.trim().toLowerCase();
  if ($("trouble").checked && (WELL.has(model.state) || model.state === "off_hours")) return false;
  return !query || [model.model, model.server, model.state, spoken(model.state), model.reason || ""].some((text) => text.toLowerCase().includes(query));
}

function draw() {
  const status = known.status;
  if (!status) return;
  const by = Map.groupBy ? Map.groupBy(status.models, (model) => model.server) : grouped(status.models);
  const chosen = status.servers.filter((server) => filtering() === false || (by.get(server.name) || []).some(matches));
  const bad = new Set(chosen.length > FEW_SERVERS ? chosen.filter((server) => troubled(server, by.get(server.name) || [])) : []);
  chosen.sort((one, other) => bad.has(other) - bad.has(one)); // of many, those in trouble come first
  $("filter").hidden = status.models.length <= FEW_MODELS && !filtering();
  $("legend").hidden = !status.models.some((model) => model.state !== "guest");
  keyed($("servers"), chosen, (server) => server.name, serverPart, (part, server) => drawServer(part, server, by.get(server.name) || []));
  drawBlank(status, chosen);
  drawSummary(status);
  drawComing(status);
  say($("matches"), filtering() ? `${plural(status.models.filter(matches).length, "model")} of ${status.models.length}` : "");
}

const filtering = () => $("query").value.trim() !== "" || $("trouble").checked;

function grouped(models) {
  const by = new Map();
  for (const model of models) by.set(model.server, [...(by.get(model.server) || []), model]);
  return by;
}

function drawBlank(status, chosen) {
  let blank = $("blank");
  if (!blank) blank = $("servers").parentElement.insertBefore(make("p", { id: "blank", class: "blank" }), $("legend"));
  blank.hidden = chosen.length > 0;
  say(blank, status.servers.length ? "Nothing is called that, or all is ready." : "No server is known yet: the name in the configuration stands for none at the moment, and is asked again.");
}

function drawSummary(status) {
  const wanted = status.models.filter((model) => model.state !== "guest");
  const bad = wanted.filter(needed), down = status.servers.filter((server) => server.state !== "up");
  const ready = wanted.filter((model) => WELL.has(model.state)).length;
  const paused = wanted.filter((model) => model.state === "paused").length;
  const parts = [make("b", {}, wanted.length ? `${ready} of ${plural(wanted.length, "model")} ready` : "No model is wanted yet")];
  if (bad.length) parts.push(" \u00b7 ", make("span", { class: "bad" }, `${bad.length} required not ready`));
  if (paused) parts.push(` \u00b7 ${paused} paused`);
  if (down.length) parts.push(" \u00b7 ", make("span", { class: "bad" }, down.length === 1 ? `${shown(down[0].name, 40)} is ${down[0].state}` : `${down.length} of ${status.servers.length} servers not up`));
  else if (status.servers.length > 1) parts.push(` \u00b7 all ${status.servers.length} servers up`);
  const text = parts.map((part) => part.textContent || part).join("");
  if ($("summary").textContent !== text) $("summary").replaceChildren(...parts);
  document.title = bad.length ? `(${bad.length}) ollama-keeper` : "ollama-keeper";
}

function drawComing(status) {
  const weight = (model) => (model.next === "ping" || model.next === "probe" ? 1 : 0);
  const coming = status.models.filter((model) => model.next).sort((one, other) => weight(one) - weight(other) || (one.next_s ?? 1e9) - (other.next_s ?? 1e9)).slice(0, SHOWN_NEXT);
  const several = status.servers.length > 1;
  const create = () => { const what = make("span"), when = make("span", { class: "when" }); return Object.assign(make("li", {}, what, when), { what, when }); };
  keyed($("next"), coming.length ? coming : [null], (model) => (model ? id(model) + model.next : "none"), create, (part, model) => {
    part.className = model ? "" : "empty";
    say(part.what, model ? `${STEPS[model.next] || spoken(model.next)} ${shown(model.model, 60)}${several ? ` on ${shown(model.server, 40)}` : ""}` : "Nothing is foreseen.");
    if (model && model.next_s !== null) tick(part.when, null, known.at + model.next_s);
    else { part.when.ticks = null; say(part.when, model ? "when its turn comes" : ""); }
  });
}

function drawEvents() {
  const create = (event) => {
    const hint = event.hint ? [make("span", { class: "hint" }, shown(event.hint, 600))] : [];
    const item = make("li", { "data-level": event.level }, make("div", {}, shown(event.text, 600), ...hint, make("time", { datetime: event.ts, title: local(event.ts) }, clock(event.ts))));
    if (event.event === "model.ready" || event.event === "server.up") item.dataset.good = "";
    return item;
  };
  const events = known.events.length ? known.events : [null];
  keyed($("events"), events, (event) => (event ? event.key : "none"), (event) => (event ? create(event) : make("li", { class: "empty" }, make("div", {}, "None yet: each change is told here as it happens."))), () => {});
}

// --- asking ---------------------------------------------------------------------------------------------------------

async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

let asking = false;
async function refresh() {
  if (asking) return;
  asking = true;
  try {
    known.status = await get("status");
    known.skew = seconds(known.status.at) - Date.now() / 1000;
    if (Math.abs(known.skew) < 2) known.skew = 0;
    known.at = now();
    known.failed = "";
    follow(known.status.models);
    draw();
  } catch (error) {
    known.failed = known.failed || String(error.message || error);
  } finally {
    asking = false;
    beat();
  }
}

async function recall() {
  try {
    const history = await get("history");
    known.pasts = "asked";
    for (const past of history.models) known.past.set(idOf(past), recalled(past, history.to));
    mergeEvents(history.events);
  } catch {
    known.pasts = "unknown"; // the strips stay empty, and say so
  }
  draw();
}

/** One model's past: stretches of one kind, and what was lost, with the time until it was warm again. */
function recalled(past, to) {
  const spans = past.spans.map(([from, end, state]) => ({ from, to: end, kind: KIND_OF[state] || "cold" }));
  const losses = past.losses.map((loss) => {
    const back = spans.find((one) => one.kind === "warm" && one.from >= loss.at);
    return { ...loss, outage_s: back ? back.from - loss.at : null };
  });
  return { ...past, spans, losses, to, stamp: to };
}

const idOf = (one) => `${one.server}\n${one.model}`;
const pastOf = (one) => known.past.get(idOf(one)) || known.past.set(idOf(one), { spans: [], losses: [], to: known.at }).get(idOf(one));

/** Goes on with the past by what is seen here, until it is told anew, or where no history is kept. */
function follow(models) {
  for (const model of models) if (model.state !== "guest") {
    const past = pastOf(model), last = past.spans.at(-1), kind = KIND_OF[model.state] || "cold";
    const joins = last && known.at - last.to < 3 * POLL_LIVE_S;
    if (joins && last.kind === kind) last.to = known.at;
    else past.spans.push({ from: joins ? last.to : known.at, to: known.at, kind });
    past.to = known.at;
    past.stamp = `${past.spans.length} ${past.losses.length} ${Math.floor(known.at / HISTORY_S)}`;
  }
}

let count = 0;
function mergeEvents(events) {
  const key = (event) => `${event.ts} ${event.event} ${event.server} ${event.model} ${event.text}`;
  const all = new Map([...events, ...known.events].map((event) => [event.key || key(event), event]));
  known.events = [...all].map(([name, event]) => ({ ...event, key: name })).sort((one, other) => seconds(other.ts) - seconds(one.ts)).slice(0, SHOWN_EVENTS);
  drawEvents();
}

let soon = 0, drawn = 0;
function take(event) {
  if (event.event === "model.lost" && event.reason !== "released") {
    pastOf(event).losses.push({ at: seconds(event.ts), cause: event.cause, displaced_by: event.displaced_by, outage_s: null });
  }
  if (event.level !== "debug") known.events.unshift({ ...event, key: `${event.ts} ${event.event} ${event.server} ${event.model} ${event.text} ${count++}` });
  known.events.length = Math.min(known.events.length, SHOWN_EVENTS);
  if (!drawn) drawn = setTimeout(() => { drawn = 0; drawEvents(); }, 150);
  if (!soon) soon = setTimeout(() => { soon = 0; refresh(); }, 300);
  if (event.event === "model.lost" || event.event === "model.ready") pastDue = Math.min(pastDue, now() + 2);
}

let stream = null, retryAt = 0;
function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource("events");
  stream.onopen = () => { known.live = true; refresh(); beat(); };
  stream.onmessage = (message) => take(JSON.parse(message.data));
  stream.onerror = () => {
    known.live = false;
    if (stream && stream.readyState === EventSource.CLOSED) { stream = null; retryAt = now() + 20; }
    beat();
  };
}

let pastDue = 0, due = 0;
function beat() {
  const old = known.status ? now() - known.at : 0;
  const gone = known.failed !== "" && (!known.status || old > STALE_S);
  const link = gone ? "gone" : known.live ? "live" : known.status ? "polling" : "waiting";
  mark($("link"), "data-link", link);
  say($("link-text"), { gone: "no answer", live: `live, ${span(old)} old`, polling: `polling, ${span(old)} old`, waiting: "connecting" }[link]);
  document.body.classList.toggle("stale", gone && known.status !== null);
  if (gone) notice(`The keeper does not answer${known.status ? `: what you see is ${span(old)} old` : ""}. Is ollama-keeper running?`);
  else if ($("notice").dataset.kind === "gone") notice("");
}

function notice(text, kind = "gone") {
  const box = $("notice");
  box.hidden = !text;
  box.dataset.kind = kind;
  say(box, text);
}

function eachSecond() {
  if (document.hidden) return;
  if (!stream && now() >= retryAt) listen();
  if (now() - known.at >= (known.live ? POLL_LIVE_S : POLL_S) && now() >= due) { due = now() + POLL_S - 0.5; refresh(); }
  if (now() >= pastDue) { pastDue = now() + HISTORY_S; recall(); }
  for (const part of $("servers").children) {
    if (!part.server) continue;
    drawTold(part.of.told, part.server);
    if (part.open) for (const body of part.of.table.tBodies) if (body.model) {
      if (body.of.age.ticks) advance(body.of.age);
      drawUntil(body.of.until, body.model);
      drawNext(body.of.next, body.model);
    }
  }
  for (const item of $("next").children) if (item.when && item.when.ticks) advance(item.when);
  beat();
}

// --- commands -------------------------------------------------------------------------------------------------------

const TOKEN = "ollama-keeper token";
const token = () => sessionStorage.getItem(TOKEN) || "";

function drawControl() {
  const can = known.about.control, open = can && token() !== "";
  $("unlock").hidden = !can;
  say($("unlock"), open ? "Lock control" : "Unlock control");
  $("pause-all").hidden = $("reload").hidden = !open;
  say($("mode"), can ? (open ? "Control is unlocked in this tab." : "Read-only until control is unlocked.") : "Read-only: with web.token_file set, models can be paused, resumed and warmed from here.");
  draw();
}

function drawActs(acts, model) {
  const open = known.about.control && token() !== "";
  const paused = model.state === "paused";
  const wanted = !open ? [] : paused ? ["resume"] : WELL.has(model.state) || model.state === "loading" ? ["pause"] : ["warm", "pause"];
  const act = { warm: () => command("warm", model), resume: () => command("resume", model), pause: () => askPause([model.model]) };
  keyed(acts, wanted, (name) => name, (name) => make("button", { type: "button", class: "small" }, name[0].toUpperCase() + name.slice(1)), (button, name) => {
    mark(button, "aria-label", `${button.textContent} ${shown(model.model)}`);
    button.onclick = act[name];
  });
}

async function command(name, model, more = {}) {
  const models = model ? [model.model] : [];
  await send(name, { models, by: "the page", ...more }, `${name}${model ? ` ${shown(model.model)}` : ""}`);
}

async function send(name, body, what) {
  const headers = { "content-type": "application/json", "x-ollama-keeper": "1", authorization: `Bearer ${token()}` };
  try {
    const answer = await fetch(`control/${name}`, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", signal: AbortSignal.timeout(20_000) });
    const told = await answer.json();
    if (answer.status === 401) { sessionStorage.removeItem(TOKEN); drawControl(); }
    const held = (told.held ?? []).map((one) => `${shown(one.model)} on ${shown(one.server)} stays as it is: ${shown(one.text, 200)}`);
    if (!answer.ok) notice(`${what} was refused: ${shown(told.error, 200)}`, "refused");
    else if (held.length) notice(`${held.slice(0, 3).join(". ")}.${held.length > 3 ? ` And ${held.length - 3} more.` : ""}`, "held");
    else notice(`Done: ${what}.`, "done");
    if (answer.ok) setTimeout(() => { if ($("notice").dataset.kind === "done") notice(""); }, 4000);
  } catch (error) {
    notice(`${what} did not reach the keeper: ${error.message}`, "refused");
  }
  refresh();
}

let pausing = [];
function askPause(models) {
  pausing = models;
  say($("pause-what"), models.length ? models.map((name) => shown(name)).join(", ") : "All models, on all servers.");
  $("pause-unload").checked = false;
  $("pause-dialog").showModal();
}

function wire() {
  $("unlock").onclick = () => {
    if (token()) { sessionStorage.removeItem(TOKEN); drawControl(); } else $("token-dialog").showModal();
  };
  $("token-dialog").querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, $("token").value.trim());
    $("token").value = "";
    $("token-dialog").close();
    drawControl();
  };
  $("pause-dialog").querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    $("pause-dialog").close();
    const for_s = $("pause-for").value ? Number($("pause-for").value) : null;
    send("pause", { models: pausing, by: "the page", for_s, note: $("pause-note").value || null, unload: $("pause-unload").checked }, `pause ${pausing.length ? pausing.map((name) => shown(name)).join(", ") : "all"}`);
  };
  for (const button of document.querySelectorAll("dialog button[value=cancel]")) button.onclick = () => button.closest("dialog").close();
  $("pause-all").onclick = () => askPause([]);
  $("reload").onclick = () => command("reload", null);
  $("query").oninput = $("trouble").onchange = draw;
  $("filter").onsubmit = (event) => event.preventDefault();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { if (stream) stream.close(); stream = null; known.live = false; } else { retryAt = pastDue = 0; refresh(); eachSecond(); }
  });
  addEventListener("scroll", () => tip(null), { passive: true, capture: true });
}

async function begin() {
  wire();
  drawEvents();
  try {
    known.about = await get("about");
    say($("version"), known.about.version);
  } catch { /* the words of reasons are then their names */ }
  drawControl();
  await refresh();
  listen();
  eachSecond();
  setInterval(eachSecond, 1000);
}

begin();

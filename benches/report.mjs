// Converts the lines of a run to a Markdown table on stdout and a JSON file.
//
//     node report.mjs RAW.ndjson RESULTS_DIR

import { readFileSync, writeFileSync } from "node:fs";

const [file, dir] = process.argv.slice(2);
const lines = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const of = (kind) => lines.filter((line) => line.kind === kind);
const [run] = of("run");
const chromium = of("page")[0]?.chromium ?? "none";

const rounded = (n) => Math.round(n).toLocaleString("en-US");
const page = (condition, value) => ({ peer: "next", what: "page", show: rounded, from: of("page").filter((l) => l.condition === condition), value });
const twoDecimals = (n) => n.toFixed(2);
const socket = (what, value, show = rounded) => ({ peer: "ws", what, show, from: of("socket").filter((l) => l.what === what), value });

// A row of the topics for each peer that has the value, or one row without a peer.
const topic = (name, what, peers, value, show = rounded, more = false) =>
  (peers.length ? peers : [null]).map((peer, nth) => [nth ? `– beside ${names[peer]}` : name, { ...socket(what, value, show), peer, more }]);
const names = { socketio: "Socket.IO" };
const fanout = (members, what, rate) => [
  ...topic(`fan-out to ${members}, saturated: deliveries/s`, what, ["ws", "socketio"], (l) => l.rate, rounded, true),
  ...topic("same: server CPU, us per delivery", what, ["ws", "socketio"], (l) => l.cpu_us, twoDecimals),
  ...topic(`fan-out to ${members}, ${rate} messages/s: median delivery latency, ms`, what, ["ws", "socketio"], (l) => l.p50_ms, twoDecimals),
  ...topic("same: 99th percentile, ms", what, ["ws", "socketio"], (l) => l.p99_ms, twoDecimals),
  ...topic("same: server CPU, us per delivery", what, ["ws", "socketio"], (l) => l.paced_cpu_us, twoDecimals),
];
const postcard = (name, value, show, more) => [name, { ...socket("fanout 1000", value, show), mine: "postcard", peer: "duplex", more }];

const arena = (players) =>
  [
    [`arena, ${players} players: server CPU, us per tick`, (l) => l.cpu_us, rounded],
    ["same: bytes/s to each viewer", (l) => l.bytes_s, rounded],
    ["same: frames/s at each viewer", (l) => l.frames_s, twoDecimals, true],
    ["same: median deviation of a frame from its time, ms", (l) => l.p50_ms, twoDecimals],
    ["same: 99th percentile, ms", (l) => l.p99_ms, twoDecimals],
  ].map(([name, value, show, more = false]) => [name, { ...socket(`arena ${players}`, value, show), peer: "json", more }]);

const parts = {
  page: [
    ["first load of `/`: bytes transferred", page("loopback", (l) => l.total)],
    ...["document", "script", "wasm", "style", "other"].map((kind) => [`– ${kind}`, page("loopback", (l) => l.bytes[kind])]),
    ["– requests", page("loopback", (l) => l.requests.filter(({ kind }) => kind !== "icon").length)],
    ["same after the first pointer movement: bytes", page("loopback", (l) => l.pointed)],
    ["the site's icon, not in the sum: bytes", page("loopback", (l) => l.bytes.icon)],
    ["first contentful paint, ms", page("loopback", (l) => l.painted)],
    ["socket open, ms", page("loopback", (l) => l.opened)],
    ["same: its greeting answered, ms", page("loopback", (l) => l.answered)],
    ["slow 4G, CPU 4x slower: first contentful paint, ms", page("slow4g", (l) => l.painted)],
    ["slow 4G, CPU 4x slower: socket open, ms", page("slow4g", (l) => l.opened)],
    ["same: its greeting answered, ms", page("slow4g", (l) => l.answered)],
  ],
  echo: [
    ["echo, 64 connections, 1 in flight: messages/s", { ...socket("echo 1", (l) => l.rate), more: true }],
    ["same: server CPU, us per message", socket("echo 1", (l) => l.cpu_us, (n) => n.toFixed(2))],
    ["echo, 64 connections, 16 in flight: messages/s", { ...socket("echo 16", (l) => l.rate), more: true }],
    ["same: server CPU, us per message", socket("echo 16", (l) => l.cpu_us, (n) => n.toFixed(2))],
    [`memory per idle connection (${rounded(run.idle)}), bytes`, socket("idle", (l) => l.idle_bytes)],
    ["same, after one message on each", socket("idle", (l) => l.spoken_bytes)],
  ],
  commands: [
    ...topic("commands, each stored before it is answered; 64 sessions, 16 in flight, one topic: commands/s", "commands 1", [], (l) => l.rate, rounded, true),
    ...topic("same: server CPU, us per command", "commands 1", [], (l) => l.cpu_us, twoDecimals),
    ...topic("the same in a hundred topics: commands/s", "commands 100", [], (l) => l.rate, rounded, true),
    ...topic("same: server CPU, us per command", "commands 100", [], (l) => l.cpu_us, twoDecimals),
    ...topic("one command at a time: median latency, ms", "command", [], (l) => l.p50_ms, twoDecimals),
    ...topic("same: 99th percentile, ms", "command", [], (l) => l.p99_ms, twoDecimals),
  ],
  fanout: [
    ...fanout("1,000", "fanout 1000", 20),
    postcard("`duplex.v1.postcard` beside JSON (peer: Duplex itself), fan-out to 1,000: bytes per message", (l) => l.bytes, (n) => n.toFixed(0)),
    postcard("same: deliveries/s", (l) => l.rate, rounded, true),
    postcard("same: server CPU, us per delivery", (l) => l.cpu_us, twoDecimals),
    ...fanout(rounded(run.idle), "fanout 5000", 4),
  ],
  resume: [
    ...topic("2,000 members reconnect at once, 50 messages missed: all caught up after, ms", "resume", ["socketio"], (l) => l.current_ms),
    ...topic("same: server CPU, us per member", "resume", ["socketio"], (l) => l.cpu_us),
  ],
  members: [
    ...topic(`memory per idle member of a room (${rounded(run.idle)}), bytes`, "members", ["ws", "socketio"], (l) => l.idle_bytes),
    ...topic("same, after one message to each", "members", ["ws", "socketio"], (l) => l.heard_bytes),
  ],
  arena: [10, 50, 200].flatMap(arena),
};
const kinds = { page: "first loads per site and condition", echo: "rounds of the echo", topics: "rounds of the topics", arena: "rounds of the arena" };
const ran = run.parts.split(" ").filter(Boolean);
const rows = Object.entries(parts)
  .filter(([part]) => ran.includes(part))
  .flatMap(([part, rows]) => rows.map(([name, row]) => ({ name, kind: kinds[part] ?? kinds.topics, mine: "duplex", ...row })))
  .map((row) => ({ ...row, duplex: summary(row, row.mine), other: row.peer ? summary(row, row.peer) : null }));

const notes = [];
const encodings = (who) => [...new Set(of("page").filter((l) => l.who === who).flatMap((l) => l.requests.filter((r) => r.kind !== "icon").map((r) => r.encoding)))].join(", ") || "?";
const counted = [...new Set(rows.map(({ kind }) => kind))].map((kind) => {
  const runs = rows.filter((row) => row.kind === kind).flatMap(({ duplex, other }) => [duplex.runs, other?.runs ?? 0]);
  return `${Math.max(...runs)} ${kind}`;
});
const table = rows.map((row) => {
  const ratio = row.duplex.median && row.other?.median ? (row.duplex.median / row.other.median).toFixed(2) : "–";
  return `| ${row.name} | ${cell(row, row.duplex)} | ${row.other ? cell(row, row.other) : "–"} | ${ratio} | ${row.more ? "more" : "less"} |`;
});

for (const { who, requests } of of("page"))
  for (const { url, error, status } of requests) if (error || status >= 400) note(`${who}, first load: ${url}: ${error ?? status}`);
for (const { text } of of("note")) note(text);
const busiest = Math.max(0, ...of("socket").map((l) => l.others_busy ?? 0));
if (busiest > 0.1) note(`other processes used up to ${rounded(busiest * 100)} % of a core during the rounds: rates are too low, run it on a quiet machine`);

const peers = [
  ran.includes("page") && `Peer of the first load: Next.js ${run.next}`,
  ran.includes("arena") && "Peer of the arena: itself with `--arena-json`, which sends every viewer the complete world",
  ran.some((part) => !["page", "arena"].includes(part)) && `Peer of the sockets: \`ws\` ${run.ws} with \`bufferutil\`, and Socket.IO ${run.socketio} where it is named or is the only peer, Node ${run.node}`,
].filter(Boolean);
const first = ran.includes("page") ? `, Chromium ${chromium}. Content encodings: Duplex ${encodings("duplex")}; Next.js ${encodings("next")}` : "";
const disk = of("disk").map((l) => ` Syncing a page of 4 KiB takes this disk ${twoDecimals(l.p50_ms)} ms (99th percentile: ${twoDecimals(l.p99_ms)}); only Duplex waits for it.`).join("");
console.log(`
| | Duplex | peer | Duplex / peer | better |
| --- | --- | --- | --- | --- |
${table.join("\n")}

Median (smallest–largest) of ${counted.join(" and of ")}, with alternating sites and servers. ${peers.join("; ")}. Duplex ${run.duplex}${first}.${disk}
${run.date}, ${run.cores} cores (${run.cpu}), ${run.kernel}; ${run.pinned ? "server and load generator pinned to a core each" : "no process pinned"}; load average ${run.load} at the start; ${run.seconds} s in all.
${notes.map((text, at) => `${at + 1}. ${text}`).join("\n")}`.trimEnd());

const json = `${dir}/${run.date.replaceAll(":", "")}.json`;
const results = rows.map(({ name, mine, peer, more = false, duplex, other }) => ({ name, mine, peer, better: more ? "more" : "less", duplex, other }));
writeFileSync(json, JSON.stringify({ run: { ...run, chromium }, figures: results, notes, lines: lines.filter((l) => l !== run) }, null, 1));
console.error(`\nAll results: ${json}`);

function summary({ from, value, what }, who) {
  const mine = from.filter((l) => l.who === who);
  const values = mine.map(value).filter((v) => v !== null).sort((a, b) => a - b);
  const reasons = of("missing").filter((l) => l.what === what && (l.who === who || l.who === "both")).map((l) => l.why);
  if (!values.length) return { runs: 0, reasons: reasons.length ? reasons : ["no result"] };
  const middle = values.length >> 1;
  const median = values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  const generator = mine.filter((l) => l.generator_busy > 0.9 && l.server_busy < 0.9).length * 2 > mine.length;
  return { median, least: values[0], most: values.at(-1), runs: values.length, generator, reasons };
}

function cell({ show, more }, { median, least, most, runs, generator, reasons }) {
  const marks = reasons.map(note);
  if (more && generator) marks.push(note("the load generator was busier than the server: the rate is a lower bound; compare the CPU per message"));
  const sup = [...new Set(marks)].map((mark) => ` [${mark}]`).join("");
  if (!runs) return `not measured${sup}`;
  return show(least) === show(most) ? `${show(median)}${sup}` : `${show(median)} (${show(least)}–${show(most)})${sup}`;
}

function note(text) {
  if (!notes.includes(text)) notes.push(text);
  return notes.indexOf(text) + 1;
}

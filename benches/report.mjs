// Converts the lines of a run to Markdown tables on stdout and a JSON file.
//
//     node report.mjs RAW.ndjson RESULTS_DIR

import { readFileSync, writeFileSync } from "node:fs";

const [file, dir] = process.argv.slice(2);
const lines = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const of = (kind) => lines.filter((line) => line.kind === kind);
const [run] = of("run");
const chromium = of("page")[0]?.chromium ?? "none";

// ---- the rows: a name, and how to compute a value from each line ---------------------------------------------------------------------------

const rounded = (n) => Math.round(n).toLocaleString("en-US");
const twoDecimals = (n) => n.toFixed(2);
const room = (name, value) => ({ name, what: "room", show: rounded, from: of("room"), value });
const page = (name, condition, value) => ({ name, what: "page", show: rounded, from: of("page").filter((l) => l.condition === condition), value });
const socket = (name, what, value, show = rounded, more = false) => ({ name, what, show, more, from: of("socket").filter((l) => l.what === what), value });
/** The quotient of the medians of two rows. */
const quotient = (name, row, over) => ({ ...row, name, show: twoDecimals, over });
/** A row of Duplex's clients that negotiated postcard; the peers have only one encoding. */
const postcard = (row) => ({ ...row, mine: "postcard" });

const rate = (name, what) => socket(name, what, (l) => l.rate, rounded, true);
const cpu = (what, unit) => socket(`same: server CPU, us per ${unit}`, what, (l) => l.cpu_us, twoDecimals);
const median = (name, what) => socket(name, what, (l) => l.p50_ms, twoDecimals);
const p99 = (what) => socket("same: 99th percentile, ms", what, (l) => l.p99_ms, twoDecimals);
const wireBytes = (name, what) => socket(name, what, (l) => l.wire_bytes, (n) => n.toFixed(0));
const fanout = (members, what) => [
  rate(`fan-out to ${rounded(members)}, saturated: deliveries/s`, what),
  cpu(what, "delivery"),
  socket(`fan-out to ${rounded(members)}, 20,000 deliveries/s: server CPU, us per delivery`, what, (l) => l.paced_cpu_us, twoDecimals),
  median("same: median latency of a delivery, ms", what),
  p99(what),
];
const arena = (players) => [
  socket(`arena, ${players} players: server CPU, us per tick`, `arena ${players}`, (l) => l.cpu_us),
  socket("same: bytes/s to each viewer", `arena ${players}`, (l) => l.bytes_s),
  socket("same: frames/s at each viewer", `arena ${players}`, (l) => l.frames_s, twoDecimals, true),
  median("same: median deviation of a frame from its time, ms", `arena ${players}`),
  p99(`arena ${players}`),
];

const parts = {
  page: [
    page("first load of `/`: bytes transferred", "loopback", (l) => l.total),
    ...["document", "script", "wasm", "style", "other"].map((kind) => page(`– ${kind}`, "loopback", (l) => l.bytes[kind])),
    page("– requests", "loopback", (l) => l.requests.filter(({ kind }) => kind !== "icon").length),
    page("same after the first pointer movement: bytes", "loopback", (l) => l.pointed),
    page("the site's icon, not in the sum: bytes", "loopback", (l) => l.bytes.icon),
    page("first contentful paint, ms", "loopback", (l) => l.painted),
    page("socket open, ms", "loopback", (l) => l.opened),
    page("same: its greeting answered, ms", "loopback", (l) => l.answered),
    page("slow 4G, CPU 4x slower: first contentful paint, ms", "slow4g", (l) => l.painted),
    page("slow 4G, CPU 4x slower: socket open, ms", "slow4g", (l) => l.opened),
    page("same: its greeting answered, ms", "slow4g", (l) => l.answered),
    room("longest task of a 500-message room, ms", (l) => l.longest_ms),
    room("same: its CPU time, ms", (l) => l.longest_cpu_ms),
  ],
  echo: [
    rate("echo, 64 connections, 1 in flight: messages/s", "echo 1"),
    cpu("echo 1", "message"),
    rate("echo, 64 connections, 16 in flight: messages/s", "echo 16"),
    cpu("echo 16", "message"),
    median("echo, 512 busy connections: median latency, ms", "echo 512"),
    p99("echo 512"),
    socket(`memory per idle connection (${rounded(run.idle)}), bytes`, "idle", (l) => l.idle_bytes),
    socket("same, after one message on each", "idle", (l) => l.spoken_bytes),
  ],
  commands: [
    rate("commands, each stored before it is answered; 64 sessions, 16 in flight, one topic: commands/s", "commands 1"),
    cpu("commands 1", "command"),
    rate("the same in a hundred topics: commands/s", "commands 100"),
    cpu("commands 100", "command"),
    quotient("a hundred topics / one topic: commands/s", rate("", "commands 100"), rate("", "commands 1")),
    median("one command at a time: median latency, ms", "command"),
    p99("command"),
  ],
  fanout: [
    ...fanout(1000, "fanout 1000"),
    wireBytes("same: bytes on the wire per delivery", "fanout 1000"),
    postcard(rate("fan-out to 1,000 with `duplex.v2.postcard`, saturated: deliveries/s", "fanout 1000")),
    postcard(cpu("fanout 1000", "delivery")),
    postcard(wireBytes("same: bytes on the wire per delivery", "fanout 1000")),
    ...fanout(run.idle, "fanout 5000"),
    ...fanout(run.most, "fanout 12000"),
  ],
  deflate: [
    wireBytes("fan-out to 1,000 without compression: bytes on the wire per delivery", "deflate off"),
    cpu("deflate off", "delivery"),
    wireBytes("fan-out to 1,000 with permessage-deflate: bytes on the wire per delivery", "deflate on"),
    rate("same: deliveries/s", "deflate on"),
    cpu("deflate on", "delivery"),
    quotient("with / without permessage-deflate: server CPU per delivery", cpu("deflate on", ""), cpu("deflate off", "")),
    quotient("same: bytes on the wire", wireBytes("", "deflate on"), wireBytes("", "deflate off")),
    wireBytes("state of a room with 20 messages: bytes on the wire", "state off"),
    wireBytes("same with permessage-deflate", "state on"),
    quotient("with / without permessage-deflate: bytes of the state", wireBytes("", "state on"), wireBytes("", "state off")),
  ],
  resume: [
    socket("2,000 members reconnect at once, 50 messages missed: all caught up after, ms", "resume", (l) => l.current_ms),
    cpu("resume", "member"),
  ],
  members: [
    socket(`memory per idle member of a room (${rounded(run.idle)}), bytes`, "members", (l) => l.idle_bytes),
    socket("same, after one message to each", "members", (l) => l.heard_bytes),
  ],
  arena: [10, 50, 200].flatMap(arena),
};

// ---- the tables: parts that have the same peers --------------------------------------------------------------------------------------------

const before = run.before ? { before: "before" } : {};
const tables = [
  { parts: ["page"], peers: { next: "Next.js" }, ratio: "next", runs: "loads per condition and site" },
  {
    parts: ["echo", "commands", "fanout", "deflate", "resume", "members"],
    peers: { ...before, bun: "Bun", ws: "`ws`", socketio: "Socket.IO" },
    ratio: "bun",
    runs: "rounds",
  },
  { parts: ["arena"], peers: { json: "the whole world as JSON" }, ratio: "json", runs: "rounds" },
];
const ran = run.parts.split(" ").filter(Boolean);
const notes = [];
const results = [];
const printed = tables.map(table).filter(Boolean);

for (const { who, requests } of of("page"))
  for (const { url, error, status } of requests) if (error || status >= 400) note(`${who}, first load: ${url}: ${error ?? status}`);
for (const { text } of of("note")) note(text);
const busiest = Math.max(0, ...of("socket").map((l) => l.others_busy ?? 0));
if (busiest > 0.1) note(`other processes used up to ${rounded(busiest * 100)} % of a core during the rounds: rates are too low, run it on a quiet machine`);

const encodings = (who) => [...new Set(of("page").filter((l) => l.who === who).flatMap((l) => l.requests.filter((r) => r.kind !== "icon").map((r) => r.encoding)))].join(", ") || "?";
const about = [
  `Duplex ${run.duplex}`,
  run.before && `before: ${run.before}`,
  ran.includes("page") && `Next.js ${run.next}, Chromium ${chromium}. Content encodings: Duplex ${encodings("duplex")}; Next.js ${encodings("next")}`,
  ran.some((part) => tables[1].parts.includes(part)) && `Bun ${run.bun || "–"}, \`ws\` ${run.ws} with \`bufferutil\` and Socket.IO ${run.socketio} on Node ${run.node}`,
].filter(Boolean);
const disk = of("disk").map((l) => ` Syncing a page of 4 KiB takes this disk ${twoDecimals(l.p50_ms)} ms (99th percentile: ${twoDecimals(l.p99_ms)}); only Duplex waits for it.`).join("");
console.log(`
${printed.join("\n\n")}

Each value is a median (smallest–largest), with alternating sites and servers. ${about.join("; ")}.${disk}
${run.date}, ${run.cores} cores (${run.cpu}), ${run.kernel}; ${run.pinned ? "server and load generator pinned to a core each" : "no process pinned"}; load average ${run.load} at the start; ${run.seconds} s in all.
${notes.map((text, at) => `${at + 1}. ${text}`).join("\n")}`.trimEnd());

const json = `${dir}/${run.date.replaceAll(":", "")}.json`;
writeFileSync(json, JSON.stringify({ run: { ...run, chromium }, figures: results, notes, lines: lines.filter((l) => l !== run) }, null, 1));
console.error(`\nAll results: ${json}`);

/** The Markdown of a table; nothing if none of its parts ran. */
function table({ parts: names, peers, ratio, runs }) {
  const rows = names.filter((part) => ran.includes(part)).flatMap((part) => parts[part]);
  if (!rows.length) return null;
  const columns = { duplex: "Duplex", ...peers };
  const order = Object.keys(columns);
  const after = order.indexOf(ratio) + 1; // the ratio's column follows its peer
  const head = order.map((who) => columns[who]);
  head.splice(after, 0, `Duplex / ${columns[ratio]}`);
  let most = 0;
  const body = rows.map((row) => {
    const values = Object.fromEntries(order.map((who) => [who, summary(row, who === "duplex" ? (row.mine ?? who) : who)]));
    most = Math.max(most, ...Object.values(values).map((value) => value.runs));
    results.push({ name: row.name, mine: row.mine ?? "duplex", better: row.more ? "more" : "less", values });
    const cells = order.map((who) => cell(row, values[who]));
    const [duplex, peer] = [values.duplex.median, values[ratio].median];
    cells.splice(after, 0, duplex && peer ? (duplex / peer).toFixed(2) : "–");
    return `| ${[row.name, ...cells, row.more ? "more" : "less"].join(" | ")} |`;
  });
  return `| ${most} ${most === 1 ? runs.replace(/s\b/, "") : runs} | ${head.join(" | ")} | better |\n| ${"--- | ".repeat(head.length + 2).trimEnd()}\n${body.join("\n")}`;
}

function summary(row, who) {
  const { from, value, what, over } = row;
  const mine = from.filter((l) => l.who === who);
  const values = mine.map(value).filter((v) => v !== null).sort((a, b) => a - b);
  const reasons = of("missing").filter((l) => l.what === what && (l.who === who || l.who === "both")).map((l) => l.why);
  if (!values.length) return { runs: 0, reasons };
  const middle = values.length >> 1;
  const median = values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  const generator = mine.filter((l) => l.generator_busy > 0.9 && l.server_busy < 0.9).length * 2 > mine.length;
  const found = { median, least: values[0], most: values.at(-1), runs: values.length, generator, reasons };
  if (!over) return found;
  const divisor = summary(over, who);
  if (!divisor.median) return { runs: 0, reasons: divisor.reasons };
  const divided = median / divisor.median;
  return { ...found, median: divided, least: divided, most: divided };
}

/** A dash stands for a peer that this row is not measured for. */
function cell({ show, more }, { median, least, most, runs, generator, reasons }) {
  const marks = reasons.map(note);
  if (more && generator) marks.push(note("the load generator was busier than the server: the rate is a lower bound; compare the CPU per message"));
  const sup = [...new Set(marks)].map((mark) => ` [${mark}]`).join("");
  if (!runs) return marks.length ? `not measured${sup}` : "–";
  return show(least) === show(most) ? `${show(median)}${sup}` : `${show(median)} (${show(least)}–${show(most)})${sup}`;
}

function note(text) {
  if (!notes.includes(text)) notes.push(text);
  return notes.indexOf(text) + 1;
}

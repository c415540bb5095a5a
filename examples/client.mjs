// A client of the session protocol (crates/protocol/src/session.rs) in another language: subscribes to a topic, and sends a command for
// each line typed. After a loss of the network or the server it reconnects, misses no event, and sends no command twice.
//
//     node examples/client.mjs ws://127.0.0.1:3000 chat/lobby
//
// Needs Node 22, or `npm install ws`.
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';

const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;
const [server = 'ws://127.0.0.1:3000', topic = 'chat/lobby'] = process.argv.slice(2);

const session = randomBytes(16).toString('hex'); // identifies this client on every connection, in place of a cookie; keep it secret
let cursor = null; // the last event received; its check, a checksum, identifies the log up to it
const pending = new Map(); // commands without a reply by id, in the order typed
let clockOffset = 0; // the server's clock minus ours: ids carry the server's time, so that a resent command has one effect
let socket;
let attempt = 0;

function connect() {
  socket = new WebSocket(`${server}/api/session?session=${session}`, 'duplex.v2.json');
  let retryAfter; // the delay that the server asks for when it closes
  socket.onopen = () => {
    send({ hello: { build: '', name: process.env.USER ?? null } });
    send({ subscribe: { topic, cursor } });
    for (const [id, command] of pending) send({ command: { topic, id, command } });
  };
  socket.onmessage = ({ data }) => {
    const [[name, frame]] = Object.entries(JSON.parse(data));
    if (name === 'closing') retryAfter = frame.retry_after_ms;
    handlers[name]?.(frame);
  };
  socket.onclose = ({ code, reason }) => {
    if (code >= 4500) return console.error(`closed permanently: ${code} ${reason}`);
    setTimeout(connect, retryAfter ?? Math.min(500 * 2 ** attempt++, 30_000) * (0.5 + Math.random() / 2));
  };
  socket.onerror = () => {}; // a close follows
}

// A UUID of version 7 without hyphens.
function newId() {
  const time = (Date.now() + clockOffset).toString(16).padStart(12, '0');
  const random = randomBytes(10);
  random[0] = (random[0] & 0x0f) | 0x70;
  random[2] = (random[2] & 0x3f) | 0x80;
  return time + random.toString('hex');
}

const handlers = {
  welcome({ now_ms }) {
    clockOffset = now_ms - Date.now();
  },
  verdict({ verdict: { reset, resumed, denied } }) {
    attempt = 0;
    if (denied) return console.error(`subscription denied: ${denied.reason}`);
    if (reset) cursor = reset.cursor;
    console.log(reset ? `reset to ${cursor.seq} (${reset.reason})` : `resumed: ${resumed.replayed} events replayed`);
  },
  event({ seq, check, event }) {
    if (seq !== cursor.seq + 1) throw new Error(`${seq} after ${cursor.seq}: the server skipped or repeated an event`);
    cursor = { ...cursor, seq, check };
    console.log(seq, JSON.stringify(event));
  },
  reply({ id, answer, again }) {
    pending.delete(id);
    console.log(answer.accepted ? `accepted as ${answer.accepted.seq}` : JSON.stringify(answer), again ? '(duplicate)' : '');
  },
};

const send = (frame) => socket.send(JSON.stringify(frame));

connect();
for await (const line of createInterface({ input: process.stdin })) {
  const [id, command] = [newId(), { post: { text: line, reply_to: null } }];
  pending.set(id, command);
  if (socket.readyState === 1) send({ command: { topic, id, command } });
}

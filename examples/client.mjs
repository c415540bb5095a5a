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

const me = randomBytes(16).toString('hex'); // identifies this client on every connection, in place of a cookie; keep it secret
let cursor = null; // the last event seen; its check identifies the log up to there
const unanswered = new Map(); // commands by id, in the order typed
let ahead = 0; // the server's clock minus ours: ids carry the server's time, so that a resent command has one effect
let socket;
let attempt = 0;

function connect() {
  socket = new WebSocket(`${server}/api/session?session=${me}`, 'duplex.v2.json');
  let pause; // the delay that the server asks for when it closes
  socket.onopen = () => {
    send({ hello: { build: '', name: process.env.USER ?? null } });
    send({ subscribe: { topic, cursor } });
    for (const [id, command] of unanswered) send({ command: { topic, id, command } });
  };
  socket.onmessage = ({ data }) => {
    const [[name, frame]] = Object.entries(JSON.parse(data));
    if (name === 'closing') pause = frame.retry_after_ms;
    handlers[name]?.(frame);
  };
  socket.onclose = ({ code, reason }) => {
    if (code >= 4500) return console.error(`closed for good: ${code} ${reason}`);
    setTimeout(connect, pause ?? Math.min(500 * 2 ** attempt++, 30_000) * (0.5 + Math.random() / 2));
  };
  socket.onerror = () => {}; // a close follows
}

// A UUID of version 7 without hyphens.
function newId() {
  const time = (Date.now() + ahead).toString(16).padStart(12, '0');
  const random = randomBytes(10);
  random[0] = (random[0] & 0x0f) | 0x70;
  random[2] = (random[2] & 0x3f) | 0x80;
  return time + random.toString('hex');
}

const handlers = {
  welcome({ now_ms }) {
    ahead = now_ms - Date.now();
  },
  verdict({ verdict: { reset, resumed, denied } }) {
    attempt = 0;
    if (denied) return console.error(`no: ${denied.reason}`);
    if (reset) cursor = reset.cursor;
    console.log(reset ? `from ${cursor.seq} on (${reset.reason})` : `${resumed.replayed} missed`);
  },
  event({ seq, check, event }) {
    if (seq !== cursor.seq + 1) throw new Error(`${seq} after ${cursor.seq}: the server skipped or repeated an event`);
    cursor = { ...cursor, seq, check };
    console.log(seq, JSON.stringify(event));
  },
  reply({ id, answer, again }) {
    unanswered.delete(id);
    console.log(answer.accepted ? `kept as ${answer.accepted.seq}` : JSON.stringify(answer), again ? '(again)' : '');
  },
};

const send = (frame) => socket.send(JSON.stringify(frame));

connect();
for await (const line of createInterface({ input: process.stdin })) {
  const [id, command] = [newId(), { post: { text: line, reply_to: null } }];
  unanswered.set(id, command);
  if (socket.readyState === 1) send({ command: { topic, id, command } });
}

// A device on the session protocol (crates/protocol/src/session.rs): reports its machine's load and free memory, carries out orders, and
// acknowledges them.
//
//     node examples/device.mjs ws://127.0.0.1:3000 my-device "$(duplex token)"
//
// Needs Node 22, or `npm install ws`.
import { randomBytes } from 'node:crypto';
import { freemem, hostname, loadavg } from 'node:os';

const [server = 'ws://127.0.0.1:3000', id = 'my-device', token = process.env.DUPLEX_TOKEN] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const topic = `device/${id}`;
let every = 5;
let cursor = null;

async function open(url, protocol) {
  if (globalThis.WebSocket) return new WebSocket(url, { protocols: [protocol], headers });
  return new (await import('ws')).default(url, protocol, { headers });
}

async function connect() {
  const socket = await open(`${server}/api/session`, 'duplex.v2.json');
  const send = (frame) => socket.send(JSON.stringify(frame));
  const command = (command) => send({ command: { topic, id: randomBytes(16).toString('hex'), command } });
  let timer;
  const report = () => {
    const at = Date.now();
    const readings = [
      { metric: 'load', value: loadavg()[0], unit: '', at },
      { metric: 'free_memory', value: Math.round(freemem() / 2 ** 20), unit: 'MiB', at },
    ];
    command({ report: { readings, name: hostname(), place: null, every } });
    timer = setTimeout(report, every * 1000);
  };
  const execute = (order, name, argument) => {
    if (name === 'identify') return command({ ack: { order, ok: true, note: `pid ${process.pid}` } });
    const seconds = Number(JSON.parse(argument || 'null')?.seconds);
    if (name !== 'set-interval' || !(seconds >= 1)) return command({ ack: { order, ok: false, note: 'unknown' } });
    every = seconds;
    command({ ack: { order, ok: true, note: `${every} s` } });
  };
  socket.onopen = () => {
    send({ hello: { build: '', name: null } });
    send({ subscribe: { topic, cursor } });
  };
  socket.onmessage = ({ data }) => {
    const { verdict, event, reply } = JSON.parse(data);
    if (verdict?.verdict.denied) console.error('subscription denied:', verdict.verdict.denied.reason);
    if (verdict?.verdict.reset) cursor = verdict.verdict.reset.cursor;
    if (verdict && !timer) report();
    if (event) cursor = { ...cursor, seq: event.seq, check: event.check };
    // An order's id is the seq of its event.
    if (event?.event.ordered) execute(event.seq, event.event.ordered.name, event.event.ordered.argument);
    if (reply?.answer.rejected) console.error('rejected:', JSON.stringify(reply.answer.rejected));
  };
  socket.onclose = ({ code }) => {
    clearTimeout(timer);
    console.error(`closed: ${code}`);
    setTimeout(connect, 2000);
  };
  socket.onerror = () => {}; // a close follows
}

connect();

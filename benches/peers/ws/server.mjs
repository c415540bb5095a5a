// The echo of Node's `ws`, as its documentation writes it, with `bufferutil`, the native add-on it recommends for speed.
// Under --expose-gc, SIGUSR2 collects garbage: memory rows then count what a connection holds, not what V8 has yet to free.

import { createServer } from "node:http";
import bufferutil from "bufferutil";
import { WebSocketServer } from "ws";

// Both packages fall back to JavaScript in silence; the comparison must not.
if (!String(bufferutil.mask).includes("[native code]")) throw new Error("bufferutil: native part not loaded");

const server = createServer((req, res) => res.end("ok"));
const wss = new WebSocketServer({ server, path: "/api/echo" });

wss.on("connection", (ws) => {
  ws.on("error", console.error);
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
});

process.on("SIGUSR2", () => globalThis.gc?.());

server.listen(Number(process.env.PORT), "127.0.0.1", 4096);

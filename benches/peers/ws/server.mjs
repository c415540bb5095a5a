// The echo and the broadcast of Node's `ws`, as in its documentation, with the native add-on `bufferutil` that it recommends for speed.
// Under --expose-gc, SIGUSR2 collects garbage: the memory rows then exclude garbage that V8 has not freed yet.

import { createServer } from "node:http";
import bufferutil from "bufferutil";
import { WebSocket, WebSocketServer } from "ws";

// Both packages silently fall back to JavaScript; the comparison must not.
if (!String(bufferutil.mask).includes("[native code]")) throw new Error("bufferutil: native part not loaded");

const echo = new WebSocketServer({ noServer: true });
echo.on("connection", (ws) => {
  ws.on("error", console.error);
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
});

const room = new WebSocketServer({ noServer: true });
room.on("connection", (ws) => {
  ws.on("error", console.error);
  ws.on("message", (data, isBinary) => {
    for (const client of room.clients) {
      if (client !== ws && client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    }
  });
});

const rooms = { "/api/echo": echo, "/api/room": room };
const server = createServer((req, res) => res.end("ok"));
server.on("upgrade", (req, socket, head) => {
  const wss = rooms[req.url];
  if (!wss) return socket.destroy();
  wss.handleUpgrade(req, socket, head, (ws) => wss.emit("connection", ws, req));
});

process.on("SIGUSR2", () => globalThis.gc?.());

server.listen(Number(process.env.PORT), "127.0.0.1", 4096);

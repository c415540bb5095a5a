// A Socket.IO room, as in its documentation, over WebSocket only. With RECOVERY=1 it also keeps the messages that a disconnected member
// misses in memory ("connection state recovery").
// Under --expose-gc, SIGUSR2 collects garbage.

import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer((req, res) => res.end("ok"));
const recovery = process.env.RECOVERY ? { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } } : {};
const io = new Server(server, { transports: ["websocket"], serveClient: false, ...recovery });

io.on("connection", (socket) => {
  if (!socket.recovered) socket.join("room");
  socket.on("message", (message) => socket.to("room").emit("message", message));
});

process.on("SIGUSR2", () => globalThis.gc?.());

server.listen(Number(process.env.PORT), "127.0.0.1", 4096);

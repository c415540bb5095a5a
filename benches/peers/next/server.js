// The article's socket server. The article starts it in an API route, which works only after that route is requested over HTTP; here it is
// part of a custom server. Next.js's own handler serves the page and its files, including gzip.

import { createServer } from "node:http";
import next from "next";
import { WebSocketServer } from "ws";

const hostname = "127.0.0.1";
const port = Number(process.env.PORT);
const app = next({ dev: false, hostname, port });
await app.prepare();
const handle = app.getRequestHandler();

const server = createServer((req, res) => handle(req, res));
const wss = new WebSocketServer({ server, path: "/api/socket" });

wss.on("connection", (ws) => {
  ws.on("message", (message) => ws.send(`서버 응답: ${message}`));
});

server.listen(port, hostname, () => console.log(`http://${hostname}:${port}`));

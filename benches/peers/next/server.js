// The article's socket server. It starts inside an API route there, which works only after somebody has fetched that route over HTTP; so
// it stands in Next.js's custom server here. The page and all it loads are served by Next.js's own handler, gzip included.

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

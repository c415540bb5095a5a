// A third-party WebSocket server (Node's `ws`) with a plain page of another origin.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

export type OnConnection = (socket: WebSocket, request: IncomingMessage) => void;

export class ForeignServer {
  private constructor(
    private readonly server: Server,
    private readonly sockets: WebSocketServer,
    private readonly host: string,
  ) {}

  /** Calls `onConnection` for each socket. Selects the last of the offered subprotocols. */
  static async start(onConnection: OnConnection): Promise<ForeignServer> {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/html").end('<link rel="icon" href="data:,"><h1>elsewhere</h1>');
    });
    const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered].at(-1) ?? false });
    sockets.on("connection", onConnection);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new ForeignServer(server, sockets, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  get address(): string {
    return `ws://${this.host}`;
  }

  get origin(): string {
    return `http://${this.host}`;
  }

  /** Closes each socket with a handshake, so that no page logs an error. */
  async stop(): Promise<void> {
    const open = [...this.sockets.clients].filter((socket) => socket.readyState < socket.CLOSED);
    const closed = open.map((socket) => once(socket, "close"));
    open.forEach((socket) => socket.close(1000));
    await Promise.all(closed);
    this.server.closeAllConnections();
    this.server.close();
  }
}

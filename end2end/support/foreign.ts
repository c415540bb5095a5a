// A server that is not ours: Node's `ws`, and a plain page of another origin.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

export type Greet = (socket: WebSocket, request: IncomingMessage) => void;

export class Foreign {
  private constructor(
    private readonly server: Server,
    private readonly sockets: WebSocketServer,
    private readonly host: string,
  ) {}

  /** Calls `greet` with each socket. Of the subprotocols offered it takes the last. */
  static async start(greet: Greet): Promise<Foreign> {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/html").end('<link rel="icon" href="data:,"><h1>elsewhere</h1>');
    });
    const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered].at(-1) ?? false });
    sockets.on("connection", greet);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Foreign(server, sockets, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  get address(): string {
    return `ws://${this.host}`;
  }

  get origin(): string {
    return `http://${this.host}`;
  }

  /** With a closing handshake, so that no page complains of its end. */
  async stop(): Promise<void> {
    const open = [...this.sockets.clients].filter((socket) => socket.readyState < socket.CLOSED);
    const gone = open.map((socket) => once(socket, "close"));
    open.forEach((socket) => socket.close(1000));
    await Promise.all(gone);
    this.server.closeAllConnections();
    this.server.close();
  }
}

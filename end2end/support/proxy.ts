// A proxy such as hotels and offices have: it lets no WebSocket through, and hands an answer on when it has all of it.

import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Habits {
  /** Milliseconds after which an answer that has not ended is cut. */
  cut: number;
  /** Hands on only whole answers. */
  buffers: boolean;
}

export class Proxy {
  /** Answers that were cut. */
  cuts = 0;
  /** Upgrades that were turned away. */
  upgrades = 0;

  private constructor(private readonly server: Server) {}

  static async start(target: string, habits: Habits): Promise<Proxy> {
    const server = createServer((asked, answer) => proxy.pass(target, habits, asked, answer));
    const proxy = new Proxy(server);
    server.on("upgrade", (_, socket) => {
      proxy.upgrades++;
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private pass(target: string, habits: Habits, asked: IncomingMessage, answer: ServerResponse): void {
    const cut = setTimeout(() => {
      this.cuts++;
      out.destroy();
      answer.destroy();
    }, habits.cut);
    answer.on("close", () => (clearTimeout(cut), out.destroy()));
    const out = request(new URL(asked.url ?? "/", target), { method: asked.method, headers: asked.headers }, (from) => {
      const held: Buffer[] = [];
      const head = () => answer.writeHead(from.statusCode ?? 502, from.headers);
      if (!habits.buffers) head();
      from.on("data", (chunk: Buffer) => (habits.buffers ? held.push(chunk) : answer.write(chunk)));
      from.on("end", () => {
        if (habits.buffers) head();
        answer.end(Buffer.concat(held));
      });
      from.on("error", () => answer.destroy());
    });
    out.on("error", () => answer.destroy());
    asked.pipe(out);
  }
}

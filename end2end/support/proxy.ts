// A restrictive HTTP proxy: it rejects WebSocket upgrades, may buffer responses, and cuts long ones.

import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ProxyOptions {
  /** Milliseconds after which an unfinished response is cut. */
  cutAfter: number;
  /** Forwards a response only when it is complete. */
  buffering: boolean;
}

export class Proxy {
  /** Number of cut responses. */
  cuts = 0;
  /** Number of rejected upgrades. */
  upgrades = 0;

  private constructor(private readonly server: Server) {}

  static async start(target: string, options: ProxyOptions): Promise<Proxy> {
    const server = createServer((incoming, response) => proxy.forward(target, options, incoming, response));
    const proxy = new Proxy(server);
    server.on("upgrade", (_, socket) => {
      proxy.upgrades++;
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private forward(target: string, options: ProxyOptions, incoming: IncomingMessage, response: ServerResponse): void {
    const timer = setTimeout(() => {
      this.cuts++;
      outgoing.destroy();
      response.destroy();
    }, options.cutAfter);
    response.on("close", () => (clearTimeout(timer), outgoing.destroy()));
    const { method, headers } = incoming;
    const outgoing = request(new URL(incoming.url ?? "/", target), { method, headers }, (upstream) => {
      const buffer: Buffer[] = [];
      const writeHead = () => response.writeHead(upstream.statusCode ?? 502, upstream.headers);
      if (!options.buffering) writeHead();
      upstream.on("data", (chunk: Buffer) => (options.buffering ? buffer.push(chunk) : response.write(chunk)));
      upstream.on("end", () => {
        if (options.buffering) writeHead();
        response.end(Buffer.concat(buffer));
      });
      upstream.on("error", () => response.destroy());
    });
    outgoing.on("error", () => response.destroy());
    incoming.pipe(outgoing);
  }
}

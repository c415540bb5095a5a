// The server's records of a page's connections: handshakes, ends and counts.

import { expect, type APIRequestContext, type Page, type WebSocket } from "@playwright/test";

export interface Handshake {
  method: string;
  target: string;
  version: string;
  request: [string, string][];
  status: number;
  response: [string, string][];
  subprotocol: string | null;
  ended: { by: "client" | "server" | "network"; code: number | null; reason: string } | null;
}

export interface Vitals {
  beat: number;
  /** Open sockets of the echo endpoints, without sessions: each page has one session for its bell. */
  endpoints: number;
}

const ENDPOINTS = ["/api/socket", "/api/echo"];

/** Collects the sockets that the page opens on the echo endpoints from now on, oldest first. */
export function socketsOf(page: Page): WebSocket[] {
  const sockets: WebSocket[] = [];
  page.on("websocket", (socket) => {
    if (ENDPOINTS.includes(new URL(socket.url()).pathname)) sockets.push(socket);
  });
  return sockets;
}

/** The trace id under which the server records the connection. */
export function traceOf(socket: WebSocket | undefined): string {
  const trace = socket && new URL(socket.url()).searchParams.get("trace");
  if (!trace) throw new Error("the page opened no socket with a trace");
  return trace;
}

export class HandshakeRecords {
  constructor(private readonly request: APIRequestContext) {}

  /** Undefined if the server has no record with this trace id. */
  async handshake(trace: string): Promise<Handshake | undefined> {
    const response = await this.request.get(`/api/handshake/${trace}`);
    if (response.status() === 404) return undefined;
    expect(response.status()).toBe(200);
    return (await response.json()) as Handshake;
  }

  async vitals(): Promise<Vitals> {
    return (await (await this.request.get("/api/vitals")).json()) as Vitals;
  }

  /** Waits until the server counts this many open sockets of the echo endpoints. */
  async expectOpenSockets(sockets: number): Promise<void> {
    await expect
      .poll(async () => (await this.vitals()).endpoints, { message: "the server's count of echo sockets" })
      .toBe(sockets);
  }

  /** Waits until the server has recorded the expected end of the connection. */
  async expectEnded(trace: string, expected: Partial<NonNullable<Handshake["ended"]>>): Promise<void> {
    await expect
      .poll(async () => (await this.handshake(trace))?.ended, { message: "the end that the server recorded" })
      .toMatchObject(expected);
  }
}

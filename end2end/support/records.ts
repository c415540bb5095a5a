// What the server knows of the connections that a page opens.

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
  /** Sockets that are no session: each page has one session, for its bell. */
  endpoints: number;
}

const ENDPOINTS = ["/api/socket", "/api/echo"];

/** Every socket that the page opens on the echo endpoints from now on, oldest first. */
export function socketsOf(page: Page): WebSocket[] {
  const sockets: WebSocket[] = [];
  page.on("websocket", (socket) => {
    if (ENDPOINTS.includes(new URL(socket.url()).pathname)) sockets.push(socket);
  });
  return sockets;
}

/** The name under which the page asks the server for the connection. */
export function traceOf(socket: WebSocket | undefined): string {
  const trace = socket && new URL(socket.url()).searchParams.get("trace");
  if (!trace) throw new Error("the page opened no socket with a trace");
  return trace;
}

export class Records {
  constructor(private readonly request: APIRequestContext) {}

  /** Nothing where the server knows no connection of this name. */
  async handshake(trace: string): Promise<Handshake | undefined> {
    const response = await this.request.get(`/api/handshake/${trace}`);
    if (response.status() === 404) return undefined;
    expect(response.status()).toBe(200);
    return (await response.json()) as Handshake;
  }

  async vitals(): Promise<Vitals> {
    return (await (await this.request.get("/api/vitals")).json()) as Vitals;
  }

  /** Waits until the server counts this many open sockets of the echo's endpoints. */
  async count(sockets: number): Promise<void> {
    await expect
      .poll(async () => (await this.vitals()).endpoints, { message: "echo sockets by the server's count" })
      .toBe(sockets);
  }

  /** Waits until the server saw the connection end as expected. */
  async ended(trace: string, expected: Partial<NonNullable<Handshake["ended"]>>): Promise<void> {
    await expect
      .poll(async () => (await this.handshake(trace))?.ended, { message: "the end as the server saw it" })
      .toMatchObject(expected);
  }
}

// Page object of the chat, and a client that posts messages over HTTP without a page.

import { randomBytes, randomUUID } from "node:crypto";
import { expect, type APIRequestContext, type Locator, type Page } from "@playwright/test";

const hex = (bytes: number) => randomBytes(bytes).toString("hex");

export class ChatPage {
  readonly field: Locator;
  readonly messages: Locator;
  readonly pending: Locator;
  readonly status: Locator;
  readonly sessionStatus: Locator;

  constructor(
    readonly page: Page,
    readonly room = `room-${hex(4)}`,
  ) {
    this.field = page.locator("#message-field");
    this.messages = page.locator("article.message:not(.pending)");
    this.pending = page.locator("article.message.pending");
    this.status = page.locator(".room-status");
    this.sessionStatus = page.locator("aside.session-status");
  }

  get path(): string {
    return `/chat/${this.room}`;
  }

  /** Opens the room and waits until it is live. */
  async open(): Promise<this> {
    await this.page.goto(this.path);
    await this.expectLive();
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.status).toHaveAttribute("data-status", "live", { timeout: 30_000 });
  }

  async send(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press("Enter");
  }

  message(text: string): Locator {
    return this.messages.filter({ hasText: text });
  }

  /** The texts of all visible messages, in order. */
  async texts(): Promise<string[]> {
    return this.messages.locator(".message-text").allTextContents();
  }
}

/** Creates a room; only the lobby exists by default. */
export async function createRoom(request: APIRequestContext, room: string, base = ""): Promise<void> {
  await new Writer(request, base).command("rooms/all", { create: { room, title: room } });
}

/** A client with an identity of its own that posts commands over HTTP. */
export class Writer {
  private readonly secret = hex(16);

  constructor(
    private readonly request: APIRequestContext,
    private readonly base = "",
  ) {}

  async post(room: string, text: string): Promise<number> {
    return this.command(`chat/${room}`, { post: { text, reply_to: null } });
  }

  /** Sends a command and returns the seq of its event. */
  async command(topic: string, command: unknown): Promise<number> {
    const response = await this.request.post(`${this.base}/api/session/command?session=${this.secret}`, {
      headers: { cookie: `visitor=${this.secret}` },
      data: { command: { topic, id: randomUUID().replaceAll("-", ""), command } },
    });
    const { reply } = await response.json();
    expect(reply.answer, JSON.stringify(reply)).toHaveProperty("accepted");
    return reply.answer.accepted.seq;
  }
}

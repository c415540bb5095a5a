// The tally's server, on a port that was free, with a log of its own. It can be killed, and started again where it was.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(process.cwd(), "..");
const BINARY = resolve(ROOT, process.env.TALLY_BIN ?? "target/debug/tally");
const SITE = resolve(ROOT, process.env.TALLY_SITE ?? "target/tally");

export class TallyServer {
  private readonly folder = mkdtempSync(join(tmpdir(), "tally-"));
  private process?: ChildProcess;
  /** Any free port, until the first start. */
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Returns when the server says where it listens. */
  async start(): Promise<void> {
    const child = spawn(BINARY, {
      env: {
        ...process.env,
        LEPTOS_OUTPUT_NAME: "tally",
        LEPTOS_SITE_ADDR: `127.0.0.1:${this.port}`,
        LEPTOS_SITE_ROOT: SITE,
        TALLY_DATA: join(this.folder, "tally.db"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.process = child;
    this.port = await new Promise((found, failed) => {
      let printed = "";
      child.stdout.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        const port = /:(\d+)\n/.exec(printed)?.[1];
        if (port) found(Number(port));
      });
      child.once("error", failed);
      child.once("exit", (code, signal) => failed(new Error(`the server ended before it listened: ${code ?? signal}`)));
    });
  }

  /** Returns the exit code when the process is gone; null if the signal ended it. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const gone = once(child, "exit");
    child.kill(signal);
    const [code] = await gone;
    return code;
  }

  async remove(): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

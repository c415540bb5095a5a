// `Server`: a process of the built server, on a port that was free.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(process.cwd(), "..");

/** `DUPLEX_BIN`, seen from the project's folder, or the build that was made last. */
function binary(): string {
  const chosen = process.env.DUPLEX_BIN;
  const builds = ["target/release/duplex", "target/debug/duplex"].map((path) => resolve(ROOT, path)).filter(existsSync);
  const newest = builds.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  const found = chosen ? resolve(ROOT, chosen) : newest;
  if (!found) throw new Error("no built server: run `make build`, or name one with DUPLEX_BIN");
  return found;
}

/** A file that is not there yet, in a folder that goes with the test run's process. */
function newData(): string {
  const folder = mkdtempSync(join(tmpdir(), "duplex-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "duplex.db");
}

/** What a server is told by its command line alone: not what the run's own server was told by the environment. */
function environment(): NodeJS.ProcessEnv {
  const { DUPLEX_DEMO, DUPLEX_FAULTS, DUPLEX_TOKEN, DUPLEX_TRUST_LOCAL, ...rest } = process.env;
  return rest;
}

/** Off by default, and what most specs try out. */
const OPEN = ["--demo", "--faults", "on"];

export class Server {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    /** Where its topics are kept. */
    readonly data: string,
  ) {}

  /**
   * Ready when it says where it listens. `port` 0 is any that is free; without `data` its topics begin empty. With `open: false`
   * nothing is on that is off by default. `env` is the process's environment.
   */
  static async start(
    port = 0,
    data = newData(),
    { host = "127.0.0.1", more = [] as string[], open = true, env = environment() } = {},
  ): Promise<Server> {
    const site = resolve(ROOT, process.env.DUPLEX_SITE ?? "target/site");
    const options = ["--addr", `${host}:${port}`, "--site", site, "--data", data, ...(open ? OPEN : []), ...more];
    const child = spawn(binary(), options, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    return new Server(child, await address(child), data);
  }

  /** What programs show to it. */
  get token(): string {
    return this.run("token");
  }

  /** Works once, and for ten minutes. */
  signInLink(): string {
    return this.run("sign-in", "--url", this.url);
  }

  /** What a command beside it prints. */
  private run(...command: string[]): string {
    const options = { cwd: ROOT, env: environment(), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] } as const;
    return execFileSync(binary(), [...command, "--data", this.data], options).trim();
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Returns when the process is gone. */
  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, "exit");
    this.process.kill(signal);
    await gone;
  }
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = "";
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      const port = /http:\/\/[\d.]+:(\d+)/.exec(said)?.[1];
      if (port) found(`http://127.0.0.1:${port}`);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`the server ended with ${code} before it listened:\n${said}`)));
  });
}

// Each test has a real server with its own process, data folder and port, which it keeps after a restart.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test as base } from "@playwright/test";

const root = join(import.meta.dirname, "../..");
const binary = process.env.QUILT_BINARY ?? join(root, "target/debug/quilt");
/** Another site than the one in the binary. */
const site = process.env.SITE ? ["--site", process.env.SITE] : [];

export class Server {
  private process?: ChildProcess;
  private readonly panics: string[] = [];
  private constructor(
    readonly url: string,
    private readonly port: number,
    private readonly data: string,
    private readonly options: string[],
  ) {}

  static async create(options: string[] = []): Promise<Server> {
    const data = await mkdtemp(join(tmpdir(), "quilt-"));
    const port = await freePort();
    const server = new Server(`http://127.0.0.1:${port}`, port, data, options);
    await server.start();
    return server;
  }

  /** Starts the server, and waits until it says that it listens. */
  async start(): Promise<void> {
    const own = ["--addr", `127.0.0.1:${this.port}`, "--data", this.data, ...site];
    this.process = await spawnQuilt(["serve", ...own, ...this.options], this.panics);
  }

  /** Ends the server as a crash would (SIGKILL) or as a service manager would (SIGTERM); resolves with its exit code. */
  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.process!;
    const ended = new Promise<number | null>((resolve) => {
      child.removeAllListeners("exit");
      child.once("exit", (code) => resolve(code));
    });
    child.kill(signal);
    return ended;
  }

  /** Removes everything that the server has stored. It must not be running. */
  async forget(): Promise<void> {
    await rm(this.data, { recursive: true });
  }

  /** Ends the server. It must not have panicked. */
  async dispose(): Promise<void> {
    if (this.process?.exitCode === null && this.process.signalCode === null) {
      await this.stop("SIGKILL");
    }
    await rm(this.data, { recursive: true, force: true });
    if (this.panics.length > 0) {
      throw new Error(`the server panicked: ${this.panics.join("\n")}`);
    }
  }
}

/** Starts the program, and waits until it says on its output that it is ready. Collects the lines of its log that report a panic. */
export async function spawnQuilt(parameters: string[], panics: string[] = []): Promise<ChildProcess> {
  const child = spawn(binary, parameters, { stdio: ["ignore", "pipe", "pipe"], env: environment() });
  createInterface(child.stderr!).on("line", (line) => {
    console.error(line);
    if (line.includes("panicked at")) panics.push(line);
  });
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`quilt ${parameters[0]} ended with ${code}`)));
    createInterface(child.stdout!).once("line", () => resolve());
  });
  return child;
}

/** Settings of whoever runs the tests must not change what the tests see. */
function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith("QUILT_"));
  return { ...Object.fromEntries(entries), QUILT_LOG_FILTER: "warn" };
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

/** Playwright's test, with a server and pages that find it. */
export const test = base.extend<{ server: Server }>({
  server: async ({}, use) => {
    const server = await Server.create();
    await use(server);
    await server.dispose();
  },
  baseURL: async ({ server }, use) => use(server.url),
});

export { expect } from "@playwright/test";

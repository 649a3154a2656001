// From the click on "Launch" to the first colored square and to the banner, as the visitor sees it, and what that costs the browser.
// Tasks take no time of their own. Prints figures and asserts none.

import type { CDPSession, Page } from "@playwright/test";
import { finished } from "../tests/quilt";
import { test } from "../tests/server";

/** What the page itself sees. */
interface Seen {
  /** Milliseconds from the click until a frame with it was drawn. */
  first: number;
  banner: number;
  /** The longest frame after the click, in milliseconds; below 50 the browser does not tell, and it is 0. */
  longest: number;
  /** The longest task of the main thread after the click, in milliseconds; 0 if it took less than 50. */
  task: number;
  /** The memory of the WebAssembly, in bytes. */
  memory: number;
}

interface Run extends Omit<Seen, "memory"> {
  /** The time of the main thread after the click, in milliseconds. */
  busy: number;
  /** The heap of the scripts and the memory of the WebAssembly, in MB. */
  heap: number;
}

const rows: string[] = [];

for (const [size, runs] of [["8 × 8", 15], ["64 × 64", 15], ["256 × 256", 9], ["1,024 × 1,024", 7]] as const) {
  test(size, async ({ page }) => {
    test.setTimeout(240_000);
    let tell: (run: Seen) => void;
    await page.exposeFunction("tell", (run: Seen) => tell(run));
    await page.addInitScript(watch);
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    const measured: Run[] = [];
    // The first one fills the browser's caches.
    for (let run = 0; run <= runs; run++) {
      // Nothing is asked of the page meanwhile: whatever looks into it takes its time.
      const seen = new Promise<Seen>((resolve) => (tell = resolve));
      const one = await measure(page, session, size, seen);
      if (run > 0) measured.push(one);
    }
    const values = (pick: (run: Run) => number) => measured.map(pick).sort((a, b) => a - b);
    const median = (pick: (run: Run) => number) => Math.round(values(pick)[runs >> 1]);
    const most = (pick: (run: Run) => number) => Math.round(values(pick)[runs - 1]);
    rows.push(
      [
        size.padEnd(14),
        `${median((run) => run.first)} (${most((run) => run.first)})`.padEnd(13),
        `${median((run) => run.banner)} (${most((run) => run.banner)})`.padEnd(13),
        `${median((run) => run.longest)} (${most((run) => run.longest)})`.padEnd(13),
        `${median((run) => run.task)} (${most((run) => run.task)})`.padEnd(13),
        String(median((run) => run.busy)).padEnd(13),
        String(median((run) => run.heap)),
      ].join(" "),
    );
  });
}

// What the browser takes for a document of three bytes: no page can be drawn sooner.
test("a plain document", async ({ page }) => {
  const measured: number[] = [];
  for (let run = 0; run <= 15; run++) {
    await page.goto("/");
    await page.evaluate(() => {
      const link = Object.assign(document.createElement("a"), { href: "/healthz", textContent: "plain" });
      link.addEventListener("click", () => sessionStorage.setItem("clicked-plain", String(performance.timeOrigin + performance.now())));
      document.body.prepend(link);
    });
    const drawn = page.waitForURL("**/healthz").then(() => page.evaluate(drawnSince));
    await page.getByRole("link", { name: "plain" }).click();
    measured.push(await drawn);
  }
  const sorted = measured.slice(1).sort((a, b) => a - b);
  rows.unshift(`${"plain text".padEnd(14)} ${Math.round(sorted[7])} (${Math.round(sorted[14])})`);
});

/** The milliseconds from the click to the first frame, which the browser notes itself. */
async function drawnSince(): Promise<number> {
  const clicked = Number(sessionStorage.getItem("clicked-plain"));
  const painted = () => performance.getEntriesByName("first-contentful-paint").at(0)?.startTime;
  while (painted() === undefined) await new Promise(requestAnimationFrame);
  return performance.timeOrigin + painted()! - clicked;
}

test.afterAll(() => {
  const head = ["squares".padEnd(14), ...["first color", "banner", "long frame", "long task", "main thread"].map((name) => name.padEnd(13)), "heap"];
  console.log(`\nmedian (most); milliseconds from the click, and MB\n${head.join(" ")}\n${rows.join("\n")}`);
});

async function measure(page: Page, session: CDPSession, size: string, seen: Promise<Seen>): Promise<Run> {
  await page.goto("/?work=color");
  // The name goes on with the number of tasks.
  await page.getByRole("radio", { name: new RegExp(`^${size} `) }).check();
  await page.getByText("Failures and limits").click();
  await page.getByLabel("Shortest task").fill("0");
  await page.getByLabel("Longest task").fill("0");
  const before = await busyTime(session);
  await page.getByRole("button", { name: "Launch" }).click();
  const { memory, ...run } = await seen;
  const busy = (await busyTime(session)) - before;
  await finished(page);
  const heap = ((await metric(session, "JSHeapUsedSize")) + memory) / 1e6;
  return { ...run, busy, heap };
}

async function busyTime(session: CDPSession): Promise<number> {
  return (await metric(session, "TaskDuration")) * 1_000;
}

async function metric(session: CDPSession, name: string): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find((metric) => metric.name === name)!.value;
}

/** Notes when the button is clicked, and when a frame with the first color and with the banner was drawn. */
function watch() {
  let memory: WebAssembly.Memory | undefined;
  const instantiate = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (...source) => {
    const made = await instantiate(...source);
    memory = made.instance.exports.memory as WebAssembly.Memory;
    return made;
  };
  const run = { first: 0, banner: 0, longest: 0, task: 0 };
  // A launch leads to another document, with a clock of its own.
  const now = () => performance.timeOrigin + performance.now();
  let clicked = Number(sessionStorage.getItem("clicked"));
  // What is there when the frame is made is drawn with it, and the next task comes after that.
  const drawn = (then: () => void) => setTimeout(then);
  const copyOf = (picture: HTMLImageElement) => {
    const copy = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
    copy.getContext("2d")!.drawImage(picture, 0, 0);
    return copy;
  };
  const middleRow = (canvas: HTMLCanvasElement | OffscreenCanvas) => {
    const context = canvas.getContext("2d") as CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
    return context.getImageData(0, canvas.height >> 1, canvas.width, 1).data;
  };
  const isColored = () => {
    const canvas = document.querySelector<HTMLCanvasElement>("canvas.bitmap");
    if (!canvas) {
      // Before the page is alive, a canvas is a single cell.
      const cells = document.querySelectorAll("[role=gridcell]").length;
      return cells > 1 && document.querySelector('[role=gridcell][data-state="done"]') !== null;
    }
    // Until the canvas is painted, a picture of the squares that are done stands in for it.
    const picture = document.querySelector<HTMLImageElement>(".picture");
    const stand = picture?.complete && picture.naturalWidth > 0 ? copyOf(picture) : undefined;
    if (stand && middleRow(stand).some((value, place) => place % 4 === 3 && value > 0)) return true;
    const data = middleRow(canvas);
    const [red, green, blue] = data;
    // The canvas is blank, and then of one color, until squares are done.
    return data[3] > 0 && data.some((value, place) => place % 4 < 3 && value !== [red, green, blue][place % 4]);
  };
  const look = () => {
    if (!run.first && isColored()) {
      run.first = -1;
      drawn(() => (run.first = now() - clicked));
    }
    if (!run.banner && document.querySelector("[data-banner]")) {
      run.banner = -1;
      drawn(() => (run.banner = now() - clicked));
    }
    if (run.first > 0 && run.banner > 0) {
      sessionStorage.removeItem("clicked");
      // The page comes alive, and the browser tells of a long frame a moment after it.
      setTimeout(() => (window as any).tell({ ...run, memory: memory?.buffer.byteLength ?? 0 }), 500);
    } else requestAnimationFrame(look);
  };
  const follow = () => {
    requestAnimationFrame(look);
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) run.longest = Math.max(run.longest, duration);
    }).observe({ type: "long-animation-frame" });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) run.task = Math.max(run.task, duration);
    }).observe({ type: "longtask" });
  };
  if (clicked) follow();
  document.addEventListener("click", ({ target }) => {
    if (clicked || !(target as Element).closest?.("[type=submit]")) return;
    clicked = now();
    sessionStorage.setItem("clicked", String(clicked));
    follow();
  }, { capture: true });
}

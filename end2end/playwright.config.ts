import { defineConfig, devices } from "@playwright/test";

// A browser of the system's, where Playwright's own cannot be had.
const executablePath = process.env.CHROMIUM || undefined;

export default defineConfig({
  testDir: "tests",
  outputDir: "artifacts/results",
  // Each test has a server of its own; two cores carry two of them.
  workers: 2,
  fullyParallel: true,
  forbidOnly: !!process.env.CI,
  // A test that passes the second time has still failed.
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  reporter: [["list"], ["html", { open: "never", outputFolder: "artifacts/report" }]],
  use: {
    ...devices["Desktop Chrome"],
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
      ],
    },
  },
  projects: [{ name: "chromium" }],
});

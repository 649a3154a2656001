import { defineConfig } from "@playwright/test";
import config from "./playwright.config";

// Nothing else may run beside a measurement.
export default defineConfig(config, { testDir: "bench", workers: 1, reporter: "line", use: { trace: "off", screenshot: "off" } });

// One process of workers.

import { Worker } from "bullmq";
import { Redis } from "ioredis";

const connection = new Redis({ port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
const colour = () => `#${Math.floor(Math.random() * (1 << 24)).toString(16).padStart(6, "0")}`;
const worker = new Worker("colours", async () => colour(), { connection, concurrency: 64 });
await worker.waitUntilReady();
process.stdout.write("ready\n");

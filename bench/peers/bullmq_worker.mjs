// One process of workers.

import { Worker } from "bullmq";
import { Redis } from "ioredis";

const connection = new Redis({ port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
const color = () => `#${Math.floor(Math.random() * (1 << 24)).toString(16).padStart(6, "0")}`;
const worker = new Worker("colors", async () => color(), { connection, concurrency: 64 });
await worker.waitUntilReady();
process.stdout.write("ready\n");

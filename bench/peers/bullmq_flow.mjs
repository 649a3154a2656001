// Adds a flow of TASKS children, and says when its parent is done.

import { createInterface } from "node:readline";
import { FlowProducer, Worker } from "bullmq";
import { Redis } from "ioredis";

const connection = new Redis({ port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
const producer = new FlowProducer({ connection });
const waiting = new Map();
const parents = new Worker("finish", async (job) => waiting.get(job.name)?.(), { connection });
await parents.waitUntilReady();

async function flow(name, tasks) {
  const done = new Promise((resolve) => waiting.set(name, resolve));
  const children = Array.from({ length: tasks }, (_, index) => ({
    name: "color",
    queueName: "colors",
    data: { index },
    opts: { removeOnComplete: true },
  }));
  await producer.add({ name, queueName: "finish", children });
  await done;
}

await flow("warm-up", 100);
process.stdout.write("ready\n");
for await (const tasks of createInterface({ input: process.stdin })) {
  await flow("measured", Number(tasks));
  process.stdout.write("done\n");
}
process.exit();

// 200 clients get 100 messages a second, and 50 of them never read: what that costs the others, and the server.
//
//   node tests/websocket/slow.mjs WEBSOCKET_SERVER
//
// Of the 50, those of 40 messages are dropped, and 10 are closed. Exit 1 when the server grows, when messages are
// missing, or when the others feel it.
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startServer, until } from "../attack/server.mjs";
import { request } from "./cases.mjs";
import { readFrames } from "./frames.mjs";

const kReaders = 150, kDropped = 40, kClosed = 10, kPeriod = 10, kSeconds = 4;
const kMostGrowth = 512;  // KB

const server = await startServer(process.argv[2], []);
const failures = [];
const expect = (holds, what) => holds || failures.push(what);

let latencies = [], gaps = 0;  // of all readers, while they are measured
function subscribe(policy, reads) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port: server.port, noDelay: true });
    let rest = Buffer.alloc(0), last = null, opened = false;
    socket.on("error", (error) => (opened ? null : reject(error)));
    socket.on("data", (data) => {
      rest = rest.length ? Buffer.concat([rest, data]) : data;
      if (!opened) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!rest.toString("latin1", 0, end).startsWith("HTTP/1.1 101 ")) reject(new Error("not opened"));
        opened = true;
        rest = rest.subarray(end + 4);
        if (!reads) socket.pause();
        resolve(socket);
      }
      if (!reads) return;
      const now = process.hrtime.bigint();
      const { frames, size } = readFrames(rest);
      rest = rest.subarray(size);
      for (const { payload } of frames) {
        const [number, sent] = payload.toString("latin1", 0, 64).split(" ");
        if (last !== null && Number(number) !== last + 1) gaps += Number(number) - last - 1;
        last = Number(number);
        latencies.push(Number(now - BigInt(sent)) / 1e6);
      }
    });
    socket.write(request(`/broadcast/${policy}`, { Host: "localhost" }));
  });
}
const subscribeAll = (count, policy, reads) => Promise.all(Array.from({ length: count }, () => subscribe(policy, reads)));

async function measure(name) {
  latencies = [];
  gaps = 0;
  const before = { time: server.processorTime(), resident: server.resident(), at: performance.now() };
  await sleep(kSeconds * 1000);
  const all = latencies.sort((a, b) => a - b);
  latencies = [];
  const at = (share) => all[Math.floor(all.length * share)] ?? Infinity;
  const took = performance.now() - before.at;
  const result = {
    p50: at(0.5), p99: at(0.99), messages: all.length, gaps, expected: (kReaders * took) / kPeriod,
    growth: server.resident() - before.resident,
    processor: (server.processorTime() - before.time) / took,
  };
  console.log(`${name}: ${all.length} messages read, ${gaps} dropped, p50 ${result.p50.toFixed(2)} ms, p99 ` +
    `${result.p99.toFixed(2)} ms, server ${Math.round(result.processor * 100)} % of a processor, ` +
    `${server.resident()} KB resident (${result.growth >= 0 ? "+" : ""}${result.growth})`);
  return result;
}

const readers = await subscribeAll(kReaders, "drop", true);
await sleep(500);
const without = await measure(`${kReaders} readers`);

const deaf = [...(await subscribeAll(kDropped, "drop", false)), ...(await subscribeAll(kClosed, "close", false))];
let stats;
const full = await until(async () => {
  stats = await server.stats();
  return stats.slow_streams === kClosed && stats.messages_dropped > kDropped;
}, 20_000);
expect(full, `${stats.slow_streams} of ${kClosed} closed, ${stats.messages_dropped} messages dropped`);
await sleep(1000);
const dropped = (await server.stats()).messages_dropped;
const beside = await measure(`${kReaders} readers beside ${kDropped + kClosed} that never read`);
stats = await server.stats();
console.log(`  of those ${stats.slow_streams} are closed, ${stats.messages_dropped - dropped} messages dropped meanwhile; ` +
  `p50 ${(beside.p50 / without.p50).toFixed(2)} times, p99 ${(beside.p99 / without.p99).toFixed(2)} times that without them`);

expect(stats.streams === kReaders + kDropped, `${stats.streams} streams are left`);
expect(stats.streams_high_water === kReaders + kDropped + kClosed, `${stats.streams_high_water} at most at once`);
expect(stats.messages_dropped - dropped > kDropped * kSeconds * 50, "few messages are dropped: somebody reads");
expect(beside.growth <= kMostGrowth, `the server grew by ${beside.growth} KB`);
for (const one of [without, beside]) {
  expect(one.messages >= one.expected * 0.9, `${one.messages} messages instead of ${Math.round(one.expected)}`);
}
// On a machine that does other things too: far less than if the slow were waited for.
expect(beside.p50 < without.p50 * 3 + 10, "the readers feel it");

for (const socket of [...readers, ...deaf]) socket.destroy();
expect(await until(async () => (await server.stats()).streams === 0), "streams are left");
server.kill("SIGTERM");
const { code } = await server.exited;
expect(code === 0, `the server ended with ${code}: ${server.output()}`);
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exit(failures.length ? 1 : 0);

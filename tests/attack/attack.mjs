// No client brings the server down: what a well-behaved client sees while others attack, and what is left of each
// attack afterwards. ./run starts it: node attack.mjs SERVER [ATTACK…]
//
// SECONDS_EACH=60 makes every attack as long.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { startProbe } from "./probe.mjs";
import { get, start, startServer, until } from "./server.mjs";

const [program, ...chosen] = process.argv.slice(2);
const kSeconds = Number(process.env.SECONDS_EACH ?? 3);
const kServed = 0.995;         // of the well-behaved client's requests
const kResidentGrowth = 256;   // KB
const kBytesPerConnection = 512;
const kFileBytes = 64 * 1024;

const root = mkdtempSync(`${tmpdir()}/microdot_attack_`);
writeFileSync(`${root}/file`, Buffer.alloc(kFileBytes, "f"));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
process.on("exit", () => rmSync(root, { recursive: true }));
let failed = 0;
const wanted = (name) => chosen.length === 0 || chosen.some((part) => name.includes(part));

/// What is wrong, if anything; counts it.
function verdict(name, facts, wrong) {
  if (wrong.length !== 0) ++failed;
  console.log(`${wrong.length === 0 ? "ok  " : "FAIL"} ${name.padEnd(18)} ${facts}`);
  for (const line of wrong) console.log(`       ${line}`);
}

// ---- Attacks: each begins at once and gives a function that ends it.

function hostile(attack, count) {
  return (port) => {
    const child = fork(new URL("hostile.mjs", import.meta.url), [attack, port, ...(count ? [count] : [])]);
    const exited = once(child, "exit");
    return {
      async seen() {
        child.send("seen");
        return (await once(child, "message"))[0];
      },
      async end() {
        child.kill("SIGKILL");
        await exited;
      },
    };
  };
}

/// slowhttptest ends when all its connections are closed: it is started again.
function slowhttptest(path, ...options) {
  return (port) => {
    let child, ended = false;
    const again = () => {
      if (ended) return;
      const common = ["-c", "1000", "-r", "1000", "-l", "3600", "-v", "0", "-u", `http://127.0.0.1:${port}${path}`];
      child = start("slowhttptest", [...options, ...common], { stdio: "ignore" }).on("exit", again);
    };
    again();
    return {
      async end() {
        ended = true;
        if (child.exitCode !== null) return;
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      },
    };
  };
}

const kAttacks = {
  "slow heads": slowhttptest("/", "-H", "-i", "1"),
  "slow bodies": slowhttptest("/echo", "-B", "-i", "1", "-s", "16000"),
  "ranges": slowhttptest("/file", "-R", "-a", "5", "-b", "2000"),
  "slow reading": slowhttptest("/owned", "-X", "-w", "1", "-y", "512", "-n", "1", "-z", "5", "-k", "3"),
  "flood": hostile("flood"),
  "restless": hostile("restless"),
  "no reading": hostile("unread"),
  "no closing": hostile("unclosed"),
  "silence": hostile("silent"),
  "half-closed": hostile("halfclose"),
  "resets": hostile("reset"),
  "single bytes": hostile("dribble"),
  "pair of addresses": hostile("pair"),
  "endless heads": hostile("heads"),
  "endless chunks": hostile("chunks"),
};
// More than is promised, since no address alone has more than its share: run when they are named.
const kAttacksByHand = {
  "crowd": hostile("crowd"),
  "hoard": hostile("hoard"),
};
// Where everything is scarce.
const kAttacksOnFew = {
  "slow heads, few": kAttacks["slow heads"],
  "flood, few": hostile("flood", 1000),
  "no reading, few": kAttacks["no reading"],
};

// A machine that stands still for a moment makes misses, too: who misses is attacked again, twice at the most. A
// server that is at fault misses each time. False: to be repeated.
async function underAttack(name, attack, server, mayRepeat) {
  const before = server.resident();
  const descriptors = server.descriptors();
  const waited = server.processorWait();
  const probe = await startProbe({
    port: server.port, targets: [{ path: "/", text: "Hello" }, { path: "/file", bytes: kFileBytes, text: "ffff" }],
  });
  const attackers = attack(server.port);
  await sleep(kSeconds * 1000);
  const high = server.resident();
  const { asked, missed, misses, p50, p99, max, late } = await probe.stop();
  const seen = await attackers.seen?.();
  await attackers.end();

  const wrong = [];
  if (missed > asked * (1 - kServed)) wrong.push(`missed: ${misses.slice(0, 10).join("; ")}`);
  let stats;
  const calm = await until(async () => {
    stats = await server.stats().catch((error) => ({ error: error.message }));
    return stats.connections === 0 && stats.exchanges === 0 && stats.queued === 0;
  });
  if (!calm) wrong.push(`left behind: ${JSON.stringify(stats)}`);
  if (!(await until(() => server.descriptors() <= descriptors, 2000)))
    wrong.push(`descriptors: ${descriptors} before, ${server.descriptors()} after`);
  // What nobody needs any more goes back within a second or two.
  await until(() => server.resident() - before <= kResidentGrowth, 5000);
  const growth = server.resident() - before;
  if (growth > kResidentGrowth) wrong.push(`resident memory grew by ${growth} KB from ${before} KB`);

  const repeat = mayRepeat && wrong.length === 1 && wrong[0].startsWith("missed: ");
  const times = [p50, p99, max].map((time) => time.toFixed(1).padStart(6)).join(" ");
  const text = `served ${asked - missed} of ${asked}, p50/p99/max ${times} ms, resident ${before} KB ` +
    `${growth < 0 ? "" : "+"}${growth} (meanwhile ${high}) ${seen ? JSON.stringify(seen) : ""}`;
  if (repeat) {
    console.log(`again  ${name}: ${text}\n       ${wrong[0]}`);
  } else {
    verdict(name, text, wrong);
  }
  if (missed === 0) return true;
  for (const miss of wrong.length === 0 ? misses : []) console.log(`       ${miss}`);
  console.log(`       the machine kept the server waiting for ${(server.processorWait() - waited).toFixed(0)} ms in all, ` +
    `the client for ${late.toFixed(0)} ms at once`);
  return !repeat;
}

async function attackAll(attacks, ...options) {
  const names = Object.keys(attacks).filter(wanted);
  if (names.length === 0) return;
  // The heap's memory is touched when it is taken, so that it counts from the start; large bodies are given back.
  const heap = { MALLOC_PERTURB_: "1", MALLOC_MMAP_THRESHOLD_: String(128 * 1024) };
  const server = await startServer(program, ["--root", root, ...options], heap);
  await Promise.all(["/", "/file", "/owned", "/large", "/stats", "/none"].map(server.get));
  for (const name of names) {
    for (let repeats = 2; !(await underAttack(name, attacks[name], server, repeats > 0)); --repeats);
  }
  await end("end", server);
}

async function end(name, server, milliseconds = 6000) {
  const began = performance.now();
  server.kill("SIGTERM");
  const outcome = await Promise.race([server.exited, sleep(milliseconds, "still running")]);
  if (outcome === "still running") server.kill("SIGKILL");
  const wrong = [];
  if (outcome.code !== 0) wrong.push(`it ended with ${JSON.stringify(outcome)}`);
  if (!server.output().includes("ended with 0 connections, 0 exchanges, 0 queued"))
    wrong.push(server.output().trim());
  const took = performance.now() - began;
  if (name !== "end" || wrong.length !== 0) verdict(name, `after ${took.toFixed(0)} ms`, wrong);
  return took;
}

// ---- Many that do nothing

async function idleConnections() {
  const kCount = 10_000;
  // MALLOC_PERTURB_ touches the whole block at the start: compare with a server that has so many fewer.
  const residentWith = async (connections) => {
    const server = await startServer(program, ["--root", root, "--connections", String(connections)]);
    await server.get("/");
    return { server, resident: server.resident() };
  };
  const few = await residentWith(100);
  await end("end", few.server);
  const { server, resident } = await residentWith(100 + kCount);
  const clients = hostile("idle", kCount)(server.port);
  let stats;
  const open = await until(async () => (stats = await server.stats()).requests > kCount, 30_000);
  await sleep(200);  // the last request's traces
  const bytes = (server.resident() - few.resident) * 1024 / kCount;
  const grown = server.resident() - resident;
  const processor = server.processorTime();
  await sleep(2000);
  const used = server.processorTime() - processor;
  stats = await server.stats();
  const wrong = [];
  if (!open || stats.connections !== kCount) wrong.push(`only ${JSON.stringify(stats)}`);
  if (bytes > kBytesPerConnection) wrong.push(`more than ${kBytesPerConnection} bytes each`);
  if (used > 50) wrong.push("the processor is busy");
  verdict("idle connections", `${stats.connections}: ${bytes.toFixed(0)} bytes resident each (${grown} KB more ` +
    `than before they came), ${used.toFixed(1)} ms of processor time in 2 s, ${processor.toFixed(0)} ms until then`,
    wrong);
  await clients.end();
  await until(async () => (await server.stats()).connections === 0);
  await end("end", server);
}

// ---- Shutdown under full load

async function shutdownUnderLoad(name, sleepers, deadline) {
  const server = await startServer(program, ["--root", root]);
  const wrk = start("wrk", ["-t2", "-c200", "-d30s", `http://127.0.0.1:${server.port}/`], { stdio: "ignore" });
  const wrkExited = once(wrk, "exit");
  // Beside it those who look at what they get: on kept connections, again and again.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
  const outcomes = { complete: 0, closed: 0, cut: 0 };
  let going = true;
  const clients = Array.from({ length: 50 }, async () => {
    while (going) {
      try {
        const { body } = await get(server.port, "/file", { agent });
        ++outcomes[body.length === kFileBytes ? "complete" : "cut"];
      } catch (error) {
        ++outcomes[error.began ? "cut" : "closed"];
        return;
      }
    }
  });
  const slept = sleepers.map((milliseconds) => get(server.port, `/sleep/${milliseconds}`, {
    localAddress: "127.0.0.4",
  }).then(({ status }) => status, () => "closed"));
  await sleep(1000);
  const took = await end(name, server, deadline + 1000);
  going = false;
  wrk.kill("SIGKILL");
  const all = Promise.all([...clients, ...slept, wrkExited]);
  const ended = await Promise.race([all.then(() => true), sleep(1000, false)]);
  const wrong = [];
  if (!ended) wrong.push("there are clients that wait though the server has gone");
  if (outcomes.cut !== 0 || outcomes.complete < 50) wrong.push("answers were cut");
  const statuses = ended ? await Promise.all(slept) : [];
  sleepers.forEach((milliseconds, i) => {
    const expected = milliseconds < deadline ? 200 : "closed";
    if (statuses[i] !== expected) wrong.push(`the answer after ${milliseconds} ms: ${statuses[i]}`);
  });
  if (took > deadline + 500) wrong.push(`it took ${took} ms`);
  verdict(name, `clients beside it: ${JSON.stringify(outcomes)}, long requests: ${statuses.join(" ")}`, wrong);
  agent.destroy();
}

const began = performance.now();
await attackAll(kAttacks);
await attackAll(kAttacksOnFew, "--small");
if (chosen.length !== 0) await attackAll(kAttacksByHand);
if (wanted("idle connections")) await idleConnections();
if (wanted("shutdown")) {
  await shutdownUnderLoad("shutdown", [2000, 2500], 3000);
  await shutdownUnderLoad("shutdown deadline", [2000, 4500, 60_000, 60_000], 5000);
}
console.log(`${failed === 0 ? "all well" : `${failed} failed`} after ${((performance.now() - began) / 1000).toFixed(0)} s`);
process.exit(failed === 0 ? 0 : 1);

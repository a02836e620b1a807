// The server that is attacked, as a process: what it says, holds and uses.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/// Asks `condition` again and again until it holds; gives false if it never does.
export async function until(condition, milliseconds = 10_000) {
  for (const end = performance.now() + milliseconds; performance.now() < end; await sleep(20))
    if (await condition()) return true;
  return false;
}

/// Starts a program that does not outlive this one.
export function start(program, args, options) {
  const child = spawn(program, args, options);
  const end = () => child.kill("SIGKILL");
  process.on("exit", end);
  child.on("exit", () => process.off("exit", end));
  return child;
}

export async function startServer(program, args, env = {}) {
  const child = start(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  // Not "exit": then all output is there.
  const exited = once(child, "close").then(([code, signal]) => ({ code, signal }));
  const alive = () => child.exitCode === null && child.signalCode === null;
  const place = /listening on 127\.0\.0\.1:(\d+)/;
  await until(() => !alive() || place.test(output));
  assert.match(output, place, "the server did not start");
  const port = Number(output.match(place)[1]);
  const proc = (file) => readFileSync(`/proc/${child.pid}/${file}`, "latin1");

  const server = {
    port, exited, alive,
    output: () => output,
    kill: (signal) => child.kill(signal),
    /// Resident memory: KB.
    resident: () => Number(proc("status").match(/VmRSS:\s*(\d+)/)[1]),
    /// Open files and sockets.
    descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
    /// Time on the processor so far: milliseconds.
    processorTime: () => Number(proc("schedstat").split(" ")[0]) / 1e6,
    /// Time that it wanted to run and did not get a processor: milliseconds.
    processorWait: () => Number(proc("schedstat").split(" ")[1]) / 1e6,
    get: (path) => get(port, path),
    /// The App's statistics, without the request that asks for them.
    async stats() {
      const stats = JSON.parse((await get(port, "/stats")).body);
      --stats.connections;
      --stats.exchanges;
      return stats;
    },
  };
  return server;
}

/// A request on a connection of its own, from an address of its own.
export function get(port, path, options = {}) {
  return new Promise((resolve, reject) => {
    const place = { host: "127.0.0.1", port, path, localAddress: "127.0.0.3", agent: false, timeout: 20_000 };
    const request = http.get({ ...place, ...options }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", (error) => reject(Object.assign(error, { began: true })));
      response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(parts) }));
    });
    request.on("timeout", () => request.destroy(new Error(`no answer for ${path}`)));
    request.on("error", reject);
  });
}

// A well-behaved client in a process of its own, so that its judgement does not depend on what others do. It asks
// again and again, from an address of its own, in turn on new connections and on one that is kept, and reports
// what it saw.
//
//   const probe = await startProbe({ port, targets: [{ path, bytes }] });
//   …
//   const { asked, missed, p50, p99, max, late } = await probe.stop();
//
// `late` is by how many milliseconds the machine kept the probe itself waiting, at most.
import { fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";

/// `targets`: asked in turn; `bytes` is the body's size, `text` the body or its beginning. `interval` and `timeout`
/// are milliseconds. `keepAlive: false`: each request on a connection of its own.
export async function startProbe(options) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({
    source: "127.0.0.2", interval: 100, timeout: 1000, keepAlive: true, ...options,
  })]);
  const ended = once(child, "exit").then(() => { throw new Error("the probe ended"); });
  ended.catch(() => {});
  const answer = async () => (await Promise.race([once(child, "message"), ended]))[0];
  await answer();  // the first request was served
  return {
    async stop() {
      const report = answer();
      child.send("stop");
      const result = await report;
      child.disconnect();
      return result;
    },
  };
}

function ask({ port, source, timeout }, { path, bytes, text }, agent) {
  return new Promise((resolve) => {
    const began = performance.now();
    const done = (wrong) => {
      clearTimeout(timer);
      resolve({ took: performance.now() - began, wrong });
    };
    let request;
    const timer = setTimeout(() => {
      done(`nothing within ${timeout} ms`);
      request.destroy();
    }, timeout);
    const send = (again) => {
      request = http.get({ host: "127.0.0.1", port, path, localAddress: source, agent }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", (error) => done(error.code));
        response.on("end", () => {
          const body = Buffer.concat(parts);
          if (response.statusCode !== 200) return done(`status ${response.statusCode}`);
          if (bytes !== undefined && body.length !== bytes) return done(`${body.length} bytes`);
          if (text !== undefined && !body.toString("latin1").startsWith(text)) return done("another body");
          done();
        });
      });
      // The server may close a kept connection at the moment when it is used again: ask again, as browsers do
      // (RFC 9112 9.3.1).
      request.on("error", (error) => {
        if (request.reusedSocket && !again && error.code === "ECONNRESET") return send(true);
        done(error.code ?? error.message);
      });
    };
    send(false);
  });
}

async function probe(options) {
  const kept = new http.Agent({ keepAlive: true });
  const outcomes = [];
  const waiting = new Set();
  let asked = 0;
  const askOne = () => {
    const agent = options.keepAlive && asked % 2 === 1 ? kept : false;
    const target = options.targets[(asked >> 1) % options.targets.length];
    ++asked;
    const at = performance.now();
    const outcome = ask(options, target, agent).then((result) => {
      outcomes.push({ at, ...result });
      waiting.delete(outcome);
    });
    waiting.add(outcome);
    return outcome;
  };
  process.on("disconnect", () => process.exit());
  await askOne();
  let last = performance.now(), late = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    late = Math.max(late, now - last - options.interval);
    last = now;
    askOne();
  }, options.interval);
  process.send("started");
  await once(process, "message");
  clearInterval(timer);
  await Promise.all(waiting);
  kept.destroy();
  const took = outcomes.map((outcome) => outcome.took).sort((a, b) => a - b);
  const quantile = (share) => took[Math.min(took.length - 1, Math.floor(share * took.length))];
  const misses = outcomes.filter((outcome) => outcome.wrong)
    .map(({ at, wrong }) => `${wrong} at ${((at - outcomes[0].at) / 1000).toFixed(1)} s`);
  process.send({
    asked, missed: misses.length, misses, p50: quantile(0.5), p99: quantile(0.99), max: took.at(-1), late,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await probe(JSON.parse(process.argv[2]));

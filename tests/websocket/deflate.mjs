// deflate.mjs SERVER: starts SERVER (deflate_server) and exchanges compressed messages with it over npm's ws, whose
// permessage-deflate is another implementation. Each set of parameters: messages of many sizes and kinds both ways,
// in fragments, with pings between; then what has to be refused. Prints a line for each set; exits with 0 if all is well.
import { spawn } from "node:child_process";
import { once } from "node:events";
import WebSocket from "ws";

const server = spawn(process.argv[2], [], { stdio: ["ignore", "pipe", "pipe"] });
let log = "";
for (const stream of [server.stdout, server.stderr]) stream.on("data", (bytes) => (log += bytes));
server.on("exit", () => (log += "(ended)"));
while (!/listening on http:\/\/[^:]+:(\d+)/.test(log)) {
  if (log.includes("(ended)")) throw new Error(log);
  await new Promise((resolve) => setTimeout(resolve, 10));
}
const url = `ws://127.0.0.1:${log.match(/listening on http:\/\/[^:]+:(\d+)/)[1]}`;

let seed = 1;
const random = (most) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
const kinds = [
  (size) => Buffer.from("temperature 21.5, kitchen; ".repeat(size / 27 + 1)).subarray(0, size),
  (size) => Buffer.from(Array.from({ length: size }, () => random(256))),
  (size) => Buffer.from(JSON.stringify(Array.from({ length: size / 20 }, () => ({ a: random(99), b: "größe" })))),
];

async function play(path, perMessageDeflate) {
  const ws = new WebSocket(url + path, { perMessageDeflate });
  const received = [];
  let wake = () => {};
  let code = 0;
  ws.on("message", (data, isBinary) => (received.push([data, isBinary]), wake()));
  ws.on("close", (c) => ((code = c), wake()));
  await once(ws, "open");
  if (ws.extensions !== "permessage-deflate") throw new Error(`not agreed: "${ws.extensions}"`);
  let pongs = 0;
  ws.on("pong", () => ++pongs);
  const next = async () => {
    while (received.length === 0) {
      if (code !== 0) throw new Error(`closed with ${code}`);
      await new Promise((resolve) => (wake = resolve));
    }
    return received.shift();
  };
  let count = 0;
  for (const size of [0, 1, 63, 64, 65, 125, 126, 127, 1000, 5000, 65535, 65536, 200000]) {
    for (const kind of kinds) {
      for (const compress of [true, false]) {
        const data = kind(size);
        const binary = kind !== kinds[2] && kind !== kinds[0];
        ws.send(data, { binary, compress });
        if (size > 100) {
          const third = Math.floor(data.length / 3);
          ws.send(data.subarray(0, third), { binary: true, compress, fin: false });
          ws.ping("between");
          ws.send(data.subarray(third), { binary: true, compress, fin: true });
        }
        for (let i = 0; i < (size > 100 ? 2 : 1); ++i) {
          const [echoed, isBinary] = await next();
          if (!data.equals(echoed)) throw new Error(`${size} bytes came back as ${echoed.length} others`);
          if (i === 0 && isBinary !== binary) throw new Error("text and binary are mixed up");
          ++count;
        }
      }
    }
  }
  if (pongs === 0) throw new Error("no pong");
  // 16 MB of nothing, in 16 KB.
  ws.send(Buffer.alloc(16 * 1024 * 1024), { compress: true });
  while (code === 0) await new Promise((resolve) => (wake = resolve));
  if (code !== 1009) throw new Error(`a bomb is closed with ${code}`);
  console.log(`${path} ${JSON.stringify(perMessageDeflate)}: ${count} messages`);
}

try {
  for (const path of ["/", "/alone"]) {
    await play(path, { threshold: 0 });
    await play(path, { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true });
    for (const bits of [9, 12, 15]) await play(path, { threshold: 0, serverMaxWindowBits: bits, clientMaxWindowBits: bits });
  }
} finally {
  server.kill();
}

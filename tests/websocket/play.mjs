// Plays the cases of cases.mjs over real sockets.
//
//   node tests/websocket/play.mjs HOST PORT [--only=WORD]      those whose name contains it
//
// Each is played in four ways: what is behind the handshake in one write, together with the handshake, cut at a few
// places, and byte by byte. Exit 1 when any outcome is not as expected.
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { cases } from "./cases.mjs";
import { inflate, kClose, kPong, kText, readFrames } from "./frames.mjs";

const [host, port, ...options] = process.argv.slice(2);
const word = options.find((option) => option.startsWith("--only="))?.slice(7) ?? "";
const chosen = cases.filter((one) => `${one.group}: ${one.name}`.includes(word));
if (!host || !port || !chosen.length) {
  console.error("usage: play.mjs HOST PORT [--only=WORD]");
  process.exit(2);
}

// ---- Ways to write ----
const immediately = () => new Promise(setImmediate);
async function write(socket, pieces, pause) {
  for (const piece of pieces) {
    if (socket.destroyed || socket.writableEnded) return;
    if (!socket.write(piece)) await Promise.race([new Promise((done) => socket.once("drain", done)), sleep(500)]);
    await pause();
  }
}
function cut(bytes, sizes) {
  const pieces = [];
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length])
    pieces.push(bytes.subarray(at, at + sizes[i % sizes.length]));
  return pieces;
}
const kBytewise = 1500;  // larger ones in pieces
const ways = {
  whole: async (socket, one, opened) => {
    socket.write(one.request);
    if (await opened) socket.write(one.bytes);
  },
  together: async (socket, one) => socket.write(Buffer.concat([one.request, one.bytes])),
  cut: async (socket, one, opened) => {
    await write(socket, cut(one.request, [61, 7, 101]), immediately);
    const size = one.bytes.length;
    const sizes = size < 40 ? [1, 6, 2, 7] : [1, Math.ceil(size / 3), 5, Math.ceil(size / 7), 2, 3];
    if (await opened) await write(socket, cut(one.bytes, sizes), () => sleep(1));
  },
  bytewise: async (socket, one, opened) => {
    const small = one.request.length < kBytewise;
    await write(socket, cut(one.request, small ? [1] : [11]), immediately);
    const sizes = one.bytes.length <= kBytewise ? [1] : [997, 1, 1, 1499];
    if (await opened) await write(socket, cut(one.bytes, sizes), immediately);
  },
};

// ---- One case ----
const show = (bytes) => {
  const text = bytes.toString("latin1").replace(/[^ -~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return text.length > 120 ? `${text.slice(0, 120)}… (${bytes.length} bytes)` : text;
};
const expectEqual = (what, is, expected) => {
  if (is !== expected) throw new Error(`${what} is ${is}, not ${expected}`);
};

function splitHead(received) {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [line, ...fields] = received.subarray(0, end).toString("latin1").split("\r\n");
  return { status: Number(line.split(" ")[1]), fields, rest: received.subarray(end + 4) };
}

function checkAnswer(one, head) {
  expectEqual("the status", head.status, one.status);
  for (const [name, expected] of Object.entries(one.answer ?? {})) {
    const lines = head.fields.filter((field) => field.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    if (lines.length > 1) throw new Error(`${lines.length} times ${name}`);
    expectEqual(name, lines.length ? lines[0].slice(name.length + 1).trim() : "", expected);
  }
}

function checkBody(expected, bytes) {
  const fits = expected instanceof RegExp ? expected.test(bytes) : bytes.toString() === expected;
  if (!fits) throw new Error(`the body is ${show(bytes)}`);
}

function checkFrames(one, bytes) {
  const { frames, size } = readFrames(bytes);
  const messages = [], pongs = [], all = [];
  let closed = null;
  for (const { fin, rsv, opcode, payload } of frames) {
    if (closed) throw new Error("a frame behind the Close frame");
    if (!fin) throw new Error("a fragment");
    if (rsv !== (one.compressed && opcode <= 2 ? 4 : 0)) throw new Error(`reserved bits ${rsv}`);
    const data = rsv ? inflate(payload) : payload;
    if (opcode === kClose) {
      closed = { code: payload.length ? payload.readUInt16BE() : 0, reason: payload.subarray(2).toString() };
    } else if (opcode === kPong) {
      pongs.push(data);
      all.push(`pong ${data}`);
    } else {
      messages.push([opcode, data]);
      all.push(`${opcode === kText ? "text" : "binary"} ${data}`);
    }
  }
  if (size !== bytes.length) throw new Error(`half a frame at the end: ${show(bytes.subarray(size))}`);
  if (one.exact) {
    expectEqual("what came", all.join(", "), one.exact.join(", "));
  } else {
    expectEqual("the number of messages", messages.length, one.messages.length);
    one.messages.forEach(([opcode, payload], i) => {
      expectEqual(`the kind of message ${i}`, messages[i][0], opcode);
      const expected = Buffer.from(payload);
      if (!expected.equals(messages[i][1])) throw new Error(`message ${i} is ${show(messages[i][1])}, not ${show(expected)}`);
    });
    expectEqual("the number of pongs", pongs.length, one.pongs.length);
    one.pongs.forEach((payload, i) => {
      if (!Buffer.from(payload).equals(pongs[i])) throw new Error(`pong ${i} is ${show(pongs[i])}`);
    });
  }
  expectEqual("the close code", closed?.code ?? null, one.close);
  if (one.reason !== undefined) expectEqual("the reason", closed.reason, one.reason);
}

async function play(one, how) {
  const socket = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  const parts = [];
  let head = null, open;
  const opened = new Promise((resolve) => (open = resolve));
  const over = new Promise((resolve, reject) => {
    socket.on("data", (data) => {
      parts.push(data);
      if (head) return;
      head = splitHead(Buffer.concat(parts));
      if (!head) return;
      open(head.status === 101);
      if (head.status !== 101 && !one.stays) socket.end();  // an ordinary connection, which would be kept
    });
    socket.on("end", resolve);
    socket.on("error", (error) => {
      open(false);
      reject(new Error(`${error.code}, having received ${show(Buffer.concat(parts))}`));
    });
    const patience = 5000 + one.bytes.length / 20;
    sleep(patience, null, { ref: false }).then(() =>
      reject(new Error(`not over, having received ${show(Buffer.concat(parts))}`)));
  });
  over.catch(() => {});
  try {
    const written = ways[how](socket, one, opened);
    await over;
    open(false);
    socket.end();
    await written;
    const answer = splitHead(Buffer.concat(parts));
    if (!answer) throw new Error("no answer");
    checkAnswer(one, answer);
    if (one.status === 101) checkFrames(one, answer.rest);
    if (one.body !== undefined) checkBody(one.body, answer.rest);
    return null;
  } catch (error) {
    return error.message;
  } finally {
    socket.destroy();
  }
}

// ---- All of them ----
let failures = 0;
for (const how of Object.keys(ways)) {
  const started = Date.now();
  const waiting = chosen.filter((one) => how !== "together" || !one.serverFirst);
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      const failure = await play(one, how);
      if (!failure) continue;
      ++failures;
      console.log(`FAILED ${how}: ${one.group}: ${one.name} (${one.rfc}): ${failure}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  console.log(`${how}: ${chosen.length} cases in ${Date.now() - started} ms`);
}
console.log(`${chosen.length} cases, each in ${Object.keys(ways).length} ways: ${failures} failures`);
process.exit(failures ? 1 : 0);

// WebSocket frames as bytes (RFC 6455 5.2): to write any, valid or not, and to read a server's.
import zlib from "node:zlib";

export const kText = 1, kBinary = 2, kContinuation = 0, kClose = 8, kPing = 9, kPong = 10;

let key = 0x9e3779b9;
const nextMask = () => {
  key = (Math.imul(key, 1664525) + 1013904223) >>> 0;
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(key);
  return mask;
};

/// A frame of a client. `lengthBytes` (0, 2 or 8) and `length` are what fits unless given; `mask`: null for none.
export function frame(opcode, payload = "", options = {}) {
  const data = Buffer.from(payload);
  const { fin = true, rsv = 0, mask = nextMask(), length = data.length } = options;
  const { lengthBytes = length < 126 ? 0 : length < 65536 ? 2 : 8 } = options;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  head.push((mask ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127));
  const digits = Buffer.alloc(8);
  digits.writeBigUInt64BE(BigInt.asUintN(64, BigInt(length)));
  const masked = Buffer.from(data);
  if (mask) for (let i = 0; i < masked.length; ++i) masked[i] ^= mask[i % 4];
  return Buffer.concat([Buffer.from(head), digits.subarray(8 - lengthBytes), mask ?? Buffer.alloc(0), masked]);
}
export const text = (payload, options) => frame(kText, payload, options);
export const binary = (payload, options) => frame(kBinary, payload, options);
export const more = (payload, options) => frame(kContinuation, payload, options);
export const ping = (payload, options) => frame(kPing, payload, options);
export const pong = (payload, options) => frame(kPong, payload, options);
/// `code`: undefined for none.
export const close = (code, reason = "", options) =>
  frame(kClose, code === undefined ? "" : closePayload(code, reason), options);
export const closePayload = (code, reason = "") =>
  Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);

/// A message in fragments: at these sizes, the rest in the last one.
export function fragments(opcode, payload, sizes) {
  const data = Buffer.from(payload);
  const parts = [];
  let at = 0;
  for (const size of sizes) {
    parts.push(frame(at || parts.length ? kContinuation : opcode, data.subarray(at, at + size), { fin: false }));
    at += size;
  }
  parts.push(frame(parts.length ? kContinuation : opcode, data.subarray(at)));
  return parts;
}

/// The payload of a compressed message (RFC 7692 7.2.1), and back.
export const deflate = (payload, options = {}) =>
  zlib.deflateRawSync(payload, { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);
export const inflate = (payload) =>
  zlib.inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 255, 255])]),
    { finishFlush: zlib.constants.Z_SYNC_FLUSH });

/// The frames of a server at the front of `bytes`, and how many bytes they are. Throws what is wrong with one.
export function readFrames(bytes) {
  const frames = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const lengthBytes = { 126: 2, 127: 8 }[bytes[at + 1] & 127] ?? 0;
    const begin = at + 2 + lengthBytes;
    if (bytes.length < begin) break;
    if (bytes[at + 1] & 0x80) throw new Error("the server masks");
    let size = bytes[at + 1] & 127;
    if (lengthBytes === 2) size = bytes.readUInt16BE(at + 2);
    if (lengthBytes === 8) size = Number(bytes.readBigUInt64BE(at + 2));
    if (lengthBytes && size < (lengthBytes === 2 ? 126 : 65536)) throw new Error("a length not in its shortest form");
    if (bytes.length < begin + size) break;
    const payload = bytes.subarray(begin, begin + size);
    frames.push({ fin: bytes[at] >> 7, rsv: (bytes[at] >> 4) & 7, opcode: bytes[at] & 15, payload });
    at = begin + size;
  }
  return { frames, size: at };
}

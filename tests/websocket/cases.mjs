// What a client sends, and what the server has to answer: the list of cases, in Autobahn's groups. play.mjs plays it.
//
// A case:
//   group, name, rfc    a title, and the section of RFC 6455 (or 7692) that asks for it
//   path, fields        of the opening handshake; `request` instead: all its bytes
//   status              of the answer, 101 unless said; `answer`: fields that it must have ("" for none)
//   bytes               what is sent behind the handshake
//   messages            data messages that come back, in this order: [opcode, payload]
//   pongs               their payloads, in this order
//   exact               instead of both: everything in this order, as "pong PAYLOAD" or "text PAYLOAD" …
//   close               the code of the server's Close frame (0: one without a code), or null: none comes
//   reason              its reason; if not said, any
//   compressed          whether messages come back compressed
//   body                of other answers: a text, or a pattern
//   stays               the client does not end its side behind such a request
//   serverFirst         the server's messages are there before the client sends
import {
  binary, close, deflate, fragments, frame, kBinary, kClose, kText, more, ping, pong, text,
} from "./frames.mjs";

const kMessageBytes = 256 * 1024;  // websocket_server.cpp
const kControlBytes = 125;

export const cases = [];
let group = "";

/// A case that ends well: the client closes with 1000 behind what it sends.
function good(name, rfc, frames, messages, more = {}) {
  const bytes = Buffer.concat([...frames, close(1000)]);
  cases.push({ group, name, rfc, path: "/echo", bytes, messages, pongs: [], close: 1000, ...more });
}
/// A case that the server has to end with this code, before more is sent.
function bad(name, rfc, frames, code, more = {}) {
  const bytes = Buffer.concat(frames);
  cases.push({ group, name, rfc, path: "/echo", bytes, messages: [], pongs: [], close: code, ...more });
}
const hex = (digits) => Buffer.from(digits.replace(/ /g, ""), "hex");
const letters = (size) => Buffer.alloc(size, "The quick brown fox jumps over the lazy dog. ");

// ---- 1. Framing -----------------------------------------------------------------------------------------------
group = "1 framing";
for (const size of [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 255, 256, 1000, 4095, 4096, 4097, 65535, 65536, 65537]) {
  good(`text of ${size} bytes`, "5.6", [text(letters(size))], [[kText, letters(size)]]);
  const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 131 + size) & 255));
  good(`binary of ${size} bytes`, "5.6", [binary(bytes)], [[kBinary, bytes]]);
}
good("the mask of zeros", "5.3", [text("not hidden", { mask: Buffer.alloc(4) })], [[kText, "not hidden"]]);
good("the mask of ones", "5.3", [binary("inverted", { mask: Buffer.alloc(4, 255) })], [[kBinary, "inverted"]]);
good("many messages at once", "5.4", Array.from({ length: 100 }, (_, i) => text(`message ${i}`)),
  Array.from({ length: 100 }, (_, i) => [kText, `message ${i}`]));
good("text and binary in turn", "5.6", [text("a"), binary("b"), text(""), binary(""), text("c")],
  [[kText, "a"], [kBinary, "b"], [kText, ""], [kBinary, ""], [kText, "c"]]);
good("larger than the queue", "5.2", [text(letters(3000)), binary(letters(70000)), text("x")],
  [[kText, letters(3000)], [kBinary, letters(70000)], [kText, "x"]], { path: "/small-queue" });
for (const [size, lengthBytes] of [[0, 2], [5, 2], [125, 2], [5, 8], [126, 8], [65535, 8]])
  bad(`${size} bytes with a length of ${lengthBytes * 8} bits`, "5.2", [text(letters(size), { lengthBytes })], 1002);
bad("a length with the highest bit", "5.2", [binary("", { length: -1, lengthBytes: 8 })], 1002);
bad("not masked", "5.1", [text("hello", { mask: null })], 1002);
bad("not masked and empty", "5.1", [text("", { mask: null })], 1002);
bad("a ping that is not masked", "5.1", [ping("", { mask: null })], 1002);
bad("a good message, then one that is not masked", "5.1", [text("good"), text("bad", { mask: null })], 1002,
  { messages: [[kText, "good"]] });

// ---- 2. Pings and pongs -------------------------------------------------------------------------------------------
group = "2 pings";
for (const payload of ["", "hello", hex("00 ff fe fd fc fb 00 ff"), letters(124), letters(kControlBytes)])
  good(`ping of ${payload.length} bytes`, "5.5.2", [ping(payload)], [], { pongs: [payload] });
bad("ping of 126 bytes", "5.5", [ping(letters(126))], 1002);
bad("ping of 65536 bytes, its head", "5.5", [ping("", { length: 65536 })], 1002);
good("unsolicited pong", "5.5.3", [pong("nobody asked")], []);
good("unsolicited pong without payload", "5.5.3", [pong("")], []);
good("unsolicited pong, then a ping", "5.5.3", [pong("nobody asked"), ping("hello")], [], { pongs: ["hello"] });
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`);
good("ten pings", "5.5.2", ten.map((p) => ping(p)), [], { pongs: ten });
const many = Array.from({ length: 300 }, (_, i) => `${i} ${"p".repeat(110)}`);
good("300 pings at once, more than the queue has room for", "5.5.2", many.map((p) => ping(p)), [], { pongs: many });
good("300 pings at a queue of 256 bytes", "5.5.2", many.map((p) => ping(p)), [], { pongs: many, path: "/small-queue" });
good("pings between messages", "5.5.2", [text("a"), ping("1"), text("b"), ping("2")], [[kText, "a"], [kText, "b"]],
  { pongs: ["1", "2"] });
good("pings are answered while the handler is busy", "5.5.2", [ping("1"), text("a"), ping("2")], null,
  { path: "/busy", exact: ["pong 1", "pong 2", "text a"] });
bad("pong of 126 bytes", "5.5", [pong(letters(126))], 1002);
bad("fragmented ping", "5.4", [ping("half", { fin: false })], 1002);
bad("fragmented pong", "5.4", [pong("half", { fin: false })], 1002);

// ---- 3. Reserved bits ----------------------------------------------------------------------------------------------
group = "3 reserved bits";
for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
  bad(`RSV ${rsv} with text`, "5.2", [text("hello", { rsv })], 1002);
  bad(`RSV ${rsv} with a ping`, "5.2", [ping("hello", { rsv })], 1002);
}
bad("RSV 4 with a Close frame", "5.2", [close(1000, "", { rsv: 4 })], 1002);
bad("RSV 2 behind a good message", "5.2", [text("good"), binary("bad", { rsv: 2 }), text("late")], 1002,
  { messages: [[kText, "good"]] });
bad("RSV 4 in a continuation", "5.2", [text("a", { fin: false }), more("b", { rsv: 4 })], 1002);

// ---- 4. Opcodes ----------------------------------------------------------------------------------------------------
group = "4 opcodes";
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  bad(`opcode ${opcode}`, "5.2", [frame(opcode, "hello")], 1002);
  bad(`opcode ${opcode} behind a message, without payload`, "5.2", [text("good"), frame(opcode), ping("late")], 1002,
    { messages: [[kText, "good"]] });
}

// ---- 5. Fragmentation ------------------------------------------------------------------------------------------------
group = "5 fragmentation";
const inTwo = (opcode) => fragments(opcode, "fragment1fragment2", [9]);
for (const opcode of [kText, kBinary]) {
  good(`${opcode === kText ? "text" : "binary"} in two`, "5.4", inTwo(opcode), [[opcode, "fragment1fragment2"]]);
  good(`${opcode === kText ? "text" : "binary"} in bytes`, "5.4", fragments(opcode, letters(200), Array(199).fill(1)),
    [[opcode, letters(200)]]);
  good(`${opcode === kText ? "text" : "binary"} in empty fragments`, "5.4", fragments(opcode, "", [0, 0, 0]), [[opcode, ""]]);
  good(`${opcode === kText ? "text" : "binary"} with empty fragments around it`, "5.4",
    fragments(opcode, "middle", [0, 6, 0]), [[opcode, "middle"]]);
}
const [first, second] = inTwo(kText);
good("a ping between fragments", "5.4", [first, ping("now"), second], null,
  { exact: ["pong now", "text fragment1fragment2"] });
good("pings between many fragments", "5.4",
  [text("a", { fin: false }), ping("1"), more("b", { fin: false }), ping("2"), pong("x"), more("c")], null,
  { exact: ["pong 1", "pong 2", "text abc"] });
good("fragments and messages in turn", "5.4", [...inTwo(kText), text("whole"), ...inTwo(kBinary)],
  [[kText, "fragment1fragment2"], [kText, "whole"], [kBinary, "fragment1fragment2"]]);
bad("continuation of nothing", "5.4", [more("hello")], 1002);
bad("continuation of nothing, not the last", "5.4", [more("hello", { fin: false })], 1002);
bad("continuation behind a whole message", "5.4", [text("whole"), more("hello")], 1002, { messages: [[kText, "whole"]] });
bad("continuation behind the last fragment", "5.4", [...inTwo(kText), more("hello")], 1002,
  { messages: [[kText, "fragment1fragment2"]] });
bad("a new text among fragments", "5.4", [first, text("another")], 1002);
bad("a new binary among fragments", "5.4", [first, binary("another", { fin: false })], 1002);
bad("continuation of nothing behind a ping", "5.4", [ping("p"), more("hello")], 1002, { pongs: ["p"] });
bad("a bad opcode among fragments", "5.4", [first, frame(5, "x"), second], 1002);
bad("fragmented Close", "5.4", [close(1000, "", { fin: false })], 1002);
good("closed among fragments", "5.5.1", [first], []);
good("text is UTF-8 as a whole, not each fragment", "5.6", fragments(kText, "κόσμε", [1, 2, 3]), [[kText, "κόσμε"]]);

// ---- 6. UTF-8 ----------------------------------------------------------------------------------------------------------
group = "6 UTF-8";
const valid = (name, bytes) => good(`valid: ${name}`, "8.1", [text(bytes)], [[kText, bytes]]);
const invalid = (name, bytes) => bad(`invalid: ${name}`, "8.1", [text(bytes)], 1007);
valid("ASCII", "Hello-!");
valid("several scripts", "Hello-µ@ßöäüàá-UTF-8!! Привет, 世界 🌍");
valid("a NUL", "a\0b");
const kosme = Buffer.from("κόσμε");
for (let size = 1; size <= kosme.length; ++size) {
  const part = kosme.subarray(0, size);
  (kosme[size] === undefined || (kosme[size] & 0xc0) !== 0x80 ? valid : invalid)(`κόσμε, ${size} of its bytes`, part);
}
for (const bytes of ["00", "c2 80", "e0 a0 80", "f0 90 80 80", "7f", "df bf", "ef bf bf", "f4 8f bf bf", "ed 9f bf",
  "ee 80 80", "ef bf bd"])
  valid(`at a boundary: ${bytes}`, hex(bytes));
for (const bytes of ["f4 90 80 80", "f7 bf bf bf", "f8 88 80 80 80", "fb bf bf bf bf", "fc 84 80 80 80 80",
  "fd bf bf bf bf bf"])
  invalid(`beyond U+10FFFF: ${bytes}`, hex(bytes));
for (let count = 1; count <= 7; ++count) invalid(`${count} continuation bytes`, hex("80 bf ".repeat(4).slice(0, 3 * count)));
invalid("all continuation bytes", Buffer.from(Array.from({ length: 64 }, (_, i) => 0x80 + i)));
for (const [name, from, to] of [["two", 0xc0, 0xdf], ["three", 0xe0, 0xef], ["four", 0xf0, 0xf7], ["five", 0xf8, 0xfb],
  ["six", 0xfc, 0xfd]]) {
  const bytes = [];
  for (let byte = from; byte <= to; ++byte) bytes.push(byte, 0x20);
  invalid(`lonely first bytes of ${name}`, Buffer.from(bytes));
}
for (const bytes of ["c0", "e0 80", "f0 80 80", "df", "ef bf", "f7 bf bf", "e2 82", "f0 9f 98"])
  invalid(`the last byte is missing: ${bytes}`, hex(bytes));
for (const bytes of ["fe", "ff", "fe fe ff ff", "c1 bf", "f5 80 80 80"]) invalid(`impossible: ${bytes}`, hex(bytes));
for (const bytes of ["c0 af", "e0 80 af", "f0 80 80 af", "f8 80 80 80 af", "fc 80 80 80 80 af", "e0 9f bf",
  "f0 8f bf bf", "f8 87 bf bf bf", "fc 83 bf bf bf bf", "c0 80", "e0 80 80", "f0 80 80 80", "f8 80 80 80 80",
  "fc 80 80 80 80 80"])
  invalid(`overlong: ${bytes}`, hex(bytes));
for (const bytes of ["ed a0 80", "ed ad bf", "ed ae 80", "ed af bf", "ed b0 80", "ed be 80", "ed bf bf",
  "ed a0 80 ed b0 80", "ed a0 80 ed bf bf", "ed ad bf ed b0 80", "ed ad bf ed bf bf", "ed ae 80 ed b0 80",
  "ed ae 80 ed bf bf", "ed af bf ed b0 80", "ed af bf ed bf bf"])
  invalid(`surrogates: ${bytes}`, hex(bytes));
for (let plane = 0; plane <= 16; ++plane)
  for (const low of [0xfffe, 0xffff]) {
    const codePoint = plane * 0x10000 + low;
    valid(`noncharacter U+${codePoint.toString(16).toUpperCase()}`, String.fromCodePoint(codePoint));
  }
for (const codePoint of [0xfdd0, 0xfdef])
  valid(`noncharacter U+${codePoint.toString(16).toUpperCase()}`, String.fromCodePoint(codePoint));
for (const sizes of [[1], [2], [3], [4], [5], [1, 1, 1, 1, 1, 1, 1], [9]])
  good(`valid: fragments of ${sizes.join(", ")}`, "5.6", fragments(kText, "κόσ🌍µε", sizes), [[kText, "κόσ🌍µε"]]);
good("valid: a ping within a character", "5.6", [text(kosme.subarray(0, 1), { fin: false }), ping("p"), more(kosme.subarray(1))],
  [[kText, kosme]], { pongs: ["p"] });
bad("invalid: the second fragment", "8.1", [text(kosme, { fin: false }), more(hex("f4 90 80 80"))], 1007);
bad("invalid: a character ends with the message's last fragment missing", "8.1",
  [text(kosme, { fin: false }), more(hex("ce"))], 1007);
bad("fails before the frame ends", "8.1", [text(hex("ce ba ed a0 80"), { length: 100 })], 1007);
bad("fails before the message ends", "8.1", [text("good", { fin: false }), more(hex("ff"), { fin: false })], 1007);
bad("fails at the byte that can't follow", "8.1", [text(hex("f4 90"), { length: 100 })], 1007);
bad("a good message, then an invalid one", "8.1", [text("good"), text(hex("ff"))], 1007, { messages: [[kText, "good"]] });
good("binary need not be UTF-8", "5.6", [binary(hex("ff fe ed a0 80 c0 af"))], [[kBinary, hex("ff fe ed a0 80 c0 af")]]);
good("a ping need not be UTF-8", "5.5.2", [ping(hex("ff fe"))], [], { pongs: [hex("ff fe")] });

// ---- 7. Closing --------------------------------------------------------------------------------------------------------
group = "7 closing";
const closes = (name, rfc, frames, code, more = {}) => bad(name, rfc, frames, code, more);
closes("without a code", "5.5.1", [close()], 1000);
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
  closes(`code ${code}`, "7.4", [close(code)], code);
closes("code 1010, which only clients send", "7.4.1", [close(1010)], 0);
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
  closes(`code ${code}, which may not be sent`, "7.4", [close(code)], 1002);
closes("a code of one byte", "5.5.1", [frame(kClose, "\x03")], 1002);
closes("with a reason", "7.1.6", [close(1000, "Hello World!")], 1000);
closes("with the longest reason", "5.5", [close(1000, letters(123))], 1000);
closes("with a reason that is too long", "5.5", [close(1000, letters(124))], 1002);
closes("with a reason that is not UTF-8", "7.1.6", [close(1000, hex("ce ba e1 bd b9 cf 83 ce bc ce b5 ed a0 80"))], 1007);
closes("with half a character at the end of its reason", "7.1.6", [close(1000, hex("e2 82"))], 1007);
closes("a message before it is answered", "7.1.2", [text("last"), close(1000)], 1000, { messages: [[kText, "last"]] });
closes("ten messages before it are answered", "7.1.2", [...ten.map((p) => text(p)), close(3001)], 3001,
  { messages: ten.map((p) => [kText, p]) });
closes("twice", "5.5.1", [close(1000), close(1001)], 1000);
closes("a ping behind it", "5.5.1", [close(1000), ping("late")], 1000);
closes("a text behind it", "5.5.1", [close(1000), text("late")], 1000);
closes("rubbish behind it", "5.5.1", [close(1000), hex("ff ff ff ff ff ff ff")], 1000);
closes("100 KB behind it", "5.5.1", [close(1000), binary(letters(100_000))], 1000);
closes("a large message, then it", "7.1.2", [text(letters(200_000)), close(1000)], 1000,
  { messages: [[kText, letters(200_000)]] });
closes("within a fragmented message", "5.4", [text("a", { fin: false }), ping("b"), close(1001)], 1001, { pongs: ["b"] });
bad("what is wrong, and a Close frame behind it", "7.1.7", [frame(3, "x"), close(1000)], 1002);
// The server's own.
for (const code of [1000, 1001, 1003, 1008, 1011, 3000, 4999])
  closes(`by the handler with ${code}`, "7.4", [], code, { path: `/close/${code}?reason=enough%20of%20it`, reason: "enough of it" });
for (const code of [1005, 1006, 1010, 1015, 99, 5000])
  closes(`by the handler with ${code}, which it may not send`, "7.4", [], 0, { path: `/close/${code}` });
closes("the handler returns", "7.1.2", [], 1000, { path: "/returns", messages: [[kText, "bye"]] });
closes("the handler fails", "7.4.1", [], 1011, { path: "/fails", messages: [[kText, "bye"]] });

// ---- 9. Limits -----------------------------------------------------------------------------------------------------------
group = "9 limits";
for (const size of [100_000, kMessageBytes - 1, kMessageBytes]) {
  good(`text of ${size} bytes`, "10.4", [text(letters(size))], [[kText, letters(size)]]);
  good(`binary of ${size} bytes, three times`, "10.4", Array(3).fill(binary(letters(size))),
    Array(3).fill([kBinary, letters(size)]));
}
for (const size of [64, 256, 1000, 4096]) {
  const count = Math.floor(65536 / size);
  good(`64 KB in fragments of ${size}`, "5.4", fragments(kBinary, letters(count * size), Array(count - 1).fill(size)),
    [[kBinary, letters(count * size)]]);
}
good("the largest message, in two fragments and a ping", "5.4",
  [text(letters(kMessageBytes - 10), { fin: false }), ping("p"), more("0123456789")],
  [[kText, Buffer.concat([letters(kMessageBytes - 10), Buffer.from("0123456789")])]], { pongs: ["p"] });
good("10,000 empty fragments", "5.4", fragments(kText, "", Array(10_000).fill(0)), [[kText, ""]]);
good("1,000 messages", "5.4", Array.from({ length: 1000 }, (_, i) => binary(`${i} ${"m".repeat(i % 300)}`)),
  Array.from({ length: 1000 }, (_, i) => [kBinary, `${i} ${"m".repeat(i % 300)}`]));
good("messages of all sizes", "5.2", Array.from({ length: 300 }, (_, i) => text(letters(i))),
  Array.from({ length: 300 }, (_, i) => [kText, letters(i)]), { path: "/small-queue" });
bad("one byte too much, its head", "7.4.1", [binary("", { length: kMessageBytes + 1 })], 1009);
bad("one byte too much", "7.4.1", [binary(letters(kMessageBytes + 1))], 1009);
bad("the largest length there is", "7.4.1", [binary("", { length: 2n ** 63n - 1n, lengthBytes: 8 })], 1009);
bad("too much in fragments", "7.4.1",
  [binary(letters(kMessageBytes), { fin: false }), more("1", { fin: false })], 1009);
bad("a good message, then one that is too large", "7.4.1", [text("good"), text("", { length: kMessageBytes + 1 })], 1009,
  { messages: [[kText, "good"]] });
bad("a ping does not count", "5.4",
  [binary(letters(kMessageBytes), { fin: false }), ping("p"), more("", { fin: false }), more("1")], 1009, { pongs: ["p"] });

// ---- 10. What the server sends ------------------------------------------------------------------------------------------
group = "10 sent by the server";
for (const size of [0, 125, 126, 65535, 65536, 300_000]) {
  good(`text of ${size} bytes`, "5.2", [], [[kText, Buffer.alloc(size, "*")]], { path: `/text/${size}`, serverFirst: true });
  good(`binary of ${size} bytes`, "5.2", [], [[kBinary, Buffer.alloc(size, "*")]], { path: `/binary/${size}`, serverFirst: true });
}

// ---- 12. Compression ------------------------------------------------------------------------------------------------------
// Not spoken: an offer is declined by saying nothing of it, and then RSV1 means nothing.
group = "12 compression";
for (const offer of ["permessage-deflate", "permessage-deflate; client_max_window_bits",
  "permessage-deflate; server_no_context_takeover; client_no_context_takeover", "x-webkit-deflate-frame",
  "permessage-deflate; server_max_window_bits=10, permessage-deflate", "unheard-of; a=\"b, c\"; d"]) {
  const declined = { fields: { "Sec-WebSocket-Extensions": offer }, answer: { "Sec-WebSocket-Extensions": "" } };
  good(`declined: ${offer}`, "9.1", [text("plain")], [[kText, "plain"]], declined);
  bad(`RSV1 all the same: ${offer}`, "9.1", [text(deflate("compressed"), { rsv: 4 })], 1002, declined);
}

// ---- The opening handshake -----------------------------------------------------------------------------------------------
group = "opening handshake";
const kKey = "dGhlIHNhbXBsZSBub25jZQ==";
/// A request, with the RFC's example key. A field that is null is left out; a list: several of them.
export function request(path = "/echo", fields = {}, line = `GET ${path} HTTP/1.1`) {
  const all = {
    Host: "server.example.com", Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Key": kKey,
    "Sec-WebSocket-Version": "13", ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`));
  return Buffer.from(`${line}\r\n${lines.join("")}\r\n`, "latin1");
}
const accepted = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  "Sec-WebSocket-Protocol": "", "Sec-WebSocket-Extensions": "", "Content-Length": "", "Transfer-Encoding": "" };
function opens(name, rfc, fields, { path = "/echo", line, answer = {}, ...more } = {}) {
  good(name, rfc, [text("open")], [[kText, "open"]],
    { request: request(path, fields, line), answer: { ...accepted, ...answer }, ...more });
}
function refused(name, rfc, fields, status, { path = "/echo", line, body = "", ...more } = {}) {
  cases.push({ group, name, rfc, status, request: Buffer.concat([request(path, fields, line), Buffer.from(body)]),
    bytes: Buffer.alloc(0), ...more });
}
opens("the RFC's example", "1.3", {});
opens("letters of any case", "4.2.1", { Upgrade: "WebSocket", Connection: "uPGRADE" });
opens("names of any case", "4.2.1", { "sec-websocket-key": kKey, "Sec-WebSocket-Key": null, UPGRADE: "websocket", Upgrade: null });
opens("lists", "4.2.1", { Upgrade: "h2c, websocket", Connection: "keep-alive, Upgrade" });
opens("lists in several fields", "4.2.1", { Upgrade: ["h2c", "websocket"], Connection: ["keep-alive", "Upgrade"] });
opens("lists with empty elements and tabs", "4.2.1", { Upgrade: ", ,websocket,", Connection: "keep-alive ,\tUpgrade\t" });
opens("a key that ends elsewhere in its last byte", "4.2.1", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==" },
  { answer: { "Sec-WebSocket-Accept": "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" } });
opens("a query", "3", {}, { path: "/echo?a=b&c" });
opens("an absolute URL", "4.1", {}, { line: "GET http://server.example.com/echo HTTP/1.1" });
opens("a field of 1,500 bytes", "4.1", { "X-Long": "x".repeat(1500) });
opens("many fields", "4.1", Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`X-${i}`, "y"])));
opens("an empty body", "4.1", { "Content-Length": "0" });
refused("no Upgrade", "4.2.2", { Upgrade: null }, 426, { answer: { Upgrade: "websocket", Connection: "Upgrade" } });
refused("Upgrade to something else", "4.2.2", { Upgrade: "h2c" }, 426);
refused("Upgrade to something longer", "4.2.2", { Upgrade: "websockets" }, 426);
refused("no Connection", "4.2.1", { Connection: null }, 400);
refused("Connection without Upgrade", "4.2.1", { Connection: "keep-alive" }, 400);
refused("no key", "4.2.1", { "Sec-WebSocket-Key": null }, 400);
for (const key of ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZSE=",
  "dGhlIHNhbXBsZSBub25jZTEyMw==", "dGhlIHNhbXBs-SBub25jZQ==", "dGhl=HNhbXBsZSBub25jZQ=="])
  refused(`key "${key}"`, "4.2.1", { "Sec-WebSocket-Key": key }, 400);
refused("two keys", "11.3.1", { "Sec-WebSocket-Key": [kKey, kKey] }, 400);
refused("two keys in one field", "11.3.1", { "Sec-WebSocket-Key": `${kKey}, ${kKey}` }, 400);
refused("no version", "4.2.1", { "Sec-WebSocket-Version": null }, 426, { answer: { "Sec-WebSocket-Version": "13" } });
for (const version of ["0", "7", "8", "12", "14", "013", "13.0", "13, 8", "x", ""])
  refused(`version "${version}"`, "4.4", { "Sec-WebSocket-Version": version }, 426,
    { answer: { "Sec-WebSocket-Version": "13", Upgrade: "websocket" } });
refused("two versions", "11.3.5", { "Sec-WebSocket-Version": ["13", "13"] }, 400);
refused("HTTP/1.0", "4.2.1", {}, 400, { line: "GET /echo HTTP/1.0" });
refused("POST", "4.2.1", { "Content-Length": "0" }, 405, { line: "POST /echo HTTP/1.1" });
refused("HEAD", "4.2.1", {}, 400, { line: "HEAD /echo HTTP/1.1" });
refused("OPTIONS", "4.2.1", {}, 200, { line: "OPTIONS /echo HTTP/1.1" });
refused("a body", "4.1", { "Content-Length": "5" }, 400, { body: "hello" });
refused("a chunked body", "4.1", { "Transfer-Encoding": "chunked" }, 400, { body: "5\r\nhello\r\n0\r\n\r\n" });
refused("no Host", "4.2.1", { Host: null }, 400);
refused("no such path", "4.2.2", {}, 404, { path: "/nowhere" });
refused("a field that is too long", "10.4", { "X-Long": "x".repeat(9000) }, 431);
refused("a plain path", "4.2.2", {}, 200, { path: "/last-close" });
// Origins.
for (const origin of ["http://server.example.com", "https://server.example.com", "HTTP://SERVER.EXAMPLE.COM",
  "http://server.example.com:80", "https://server.example.com:443"])
  opens(`from ${origin}`, "10.2", { Origin: origin });
for (const origin of ["http://evil.example", "null", "", "http://server.example.com:81", "http://server.example.com.evil.example",
  "http://evil.example/server.example.com", "file://server.example.com", "server.example.com"])
  refused(`from "${origin}"`, "10.2", { Origin: origin }, 403);
refused("two origins", "10.2", { Origin: ["http://server.example.com", "http://evil.example"] }, 403);
for (const origin of ["https://a.example", "https://b.example:8443", "HTTPS://A.example"])
  opens(`allowed: ${origin}`, "10.2", { Origin: origin }, { path: "/origins" });
for (const origin of ["http://a.example", "https://b.example", "https://sub.a.example"])
  refused(`not allowed: ${origin}`, "10.2", { Origin: origin }, 403, { path: "/origins" });
for (const origin of ["http://evil.example", "null"])
  opens(`all allowed: ${origin}`, "10.2", { Origin: origin }, { path: "/any-origin" });
// Subprotocols: the handler of /chat says which it was.
function speaks(offer, protocol) {
  good(`subprotocol ${JSON.stringify(offer)}`, "1.9", [], [[kText, protocol]], {
    request: request("/chat", { "Sec-WebSocket-Protocol": offer }), serverFirst: true, answer: { ...accepted, "Sec-WebSocket-Protocol": protocol },
  });
}
speaks(null, "");
speaks("v1.chat", "v1.chat");
speaks("v2.chat", "v2.chat");
speaks("v1.chat, v2.chat", "v2.chat");
speaks(["v0.chat", "v1.chat"], "v1.chat");
speaks("v0.chat , v1.chat", "v1.chat");
speaks("v0.chat", "");
speaks("V1.CHAT", "");
speaks("v1.chat2, xv1.chat", "");

// ---- Server-Sent Events ----------------------------------------------------------------------------------------------------
// The section is that of WHATWG HTML. Clients end their side behind the request, unless they stay.
group = "events";
const kNone = { Upgrade: null, Connection: null, "Sec-WebSocket-Key": null, "Sec-WebSocket-Version": null };
const kEvents = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "Content-Length": "",
  "Transfer-Encoding": "" };
function events(name, rfc, { path = "/events?most=3", fields = {}, line, ...more }) {
  cases.push({ group, name, rfc, status: 200, answer: { ...kEvents, Connection: "close" }, bytes: Buffer.alloc(0),
    request: request(path, { ...kNone, ...fields }, line), ...more });
}
const numbered = (from, to) => "retry: 200\n\n" +
  Array.from({ length: to - from + 1 }, (_, i) => `id: ${from + i}\ndata: ${from + i}\n\n`).join("");
events("three", "9.2.6", { body: numbered(1, 3) });
events("three for one that stays", "9.2.6", { body: numbered(1, 3), stays: true });
events("three for HTTP/1.0", "9.2.6", { body: numbered(1, 3), line: "GET /events?most=3 HTTP/1.0" });
events("from where the client was", "9.2.3", { body: numbered(42, 44), fields: { "Last-Event-ID": "41" } });
events("as browsers ask", "9.2.3", { body: numbered(1, 3), fields: { Accept: "text/event-stream", "Cache-Control": "no-cache" } });
events("lines, a name and comments in silence", "9.2.5", { path: "/quiet-events",
  body: /^(:\n\n){2,}id: 7\nevent: name\ndata: a\ndata: b\ndata: c\ndata: d\n\n$/ });
events("HEAD", "9.2", { body: "", line: "HEAD /events HTTP/1.1", answer: kEvents });
events("POST", "9.2", { line: "POST /events HTTP/1.1", fields: { "Content-Length": "0" }, status: 405, answer: {} });

for (const one of cases) {
  one.status ??= 101;
  one.request ??= request(one.path, one.fields);
}

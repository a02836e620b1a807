// The corpus for Node: reads tests/corpus/cases, plays a case over a socket and judges what came back.
// The format of the cases is described in README.md. Bytes are kept in strings of one char per byte (latin1).

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const kCasesDir = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cases');

/// The request that finds out whether a connection is still served.
export const kProbe = 'GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n';
const kProbeReply = { status: '200', optional: false, head: false, body: 'probe', checks: [] };

// ---------------------------------------------------------------------------------------------- loading

/// Turns the escapes and repetitions of a field into bytes; throws on anything that is not exactly right.
export function unescapeBytes(text) {
  let out = '';
  for (let i = 0; i < text.length;) {
    const c = text[i];
    if (c === '\\') {
      const [bytes, used] = unescapeOne(text, i);
      out += bytes;
      i += used;
    } else if (c === '{') {
      const head = /^\{([0-9]+)\*/.exec(text.slice(i));
      if (!head) throw new Error('a { that starts no repetition must be written \\{');
      let end = i + head[0].length;
      let unit = '';
      while (end < text.length && text[end] !== '}') {
        if (text[end] === '{') throw new Error('repetitions do not nest');
        if (text[end] === '\\') {
          const [bytes, used] = unescapeOne(text, end);
          unit += bytes;
          end += used;
        } else {
          unit += text[end++];
        }
      }
      if (end >= text.length) throw new Error('a repetition without }');
      out += unit.repeat(Number(head[1]));
      i = end + 1;
    } else if (c === '}') {
      throw new Error('a lone } must be written \\}');
    } else if (c < ' ' || c > '~') {
      throw new Error('a byte outside of printable ASCII must be written \\xHH');
    } else {
      out += c;
      i++;
    }
  }
  return out;
}

function unescapeOne(text, at) {
  const simple = { r: '\r', n: '\n', t: '\t', 0: '\0', s: ' ', '\\': '\\', '{': '{', '}': '}' };
  const c = text[at + 1];
  if (Object.hasOwn(simple, c ?? '')) return [simple[c], 2];
  const hex = /^x([0-9a-fA-F]{2})/.exec(text.slice(at + 1, at + 4));
  if (!hex) throw new Error(`an unknown escape \\${c ?? ''}`);
  return [String.fromCharCode(parseInt(hex[1], 16)), 4];
}

function parseReply(value) {
  const m = /^([1-5](?:[0-9][0-9]|xx))(\?)?( head)?(?: x([1-9][0-9]*))?$/.exec(value);
  if (!m) throw new Error(`a reply that cannot be read: ${value}`);
  const reply = { status: m[1], optional: m[2] === '?', head: m[3] !== undefined, body: undefined, checks: [] };
  return [reply, Number(m[4] ?? 1)];
}

function parseNode(value) {
  const m = /^(none|[1-5].*?) (open|closed|waiting) -- (.+)$/.exec(value);
  if (!m) throw new Error('node: wants STATUS[, STATUS…] open|closed|waiting -- REASON');
  const replies = [];
  if (m[1] !== 'none') {
    for (const part of m[1].split(', ')) {
      const [reply, count] = parseReply(part);
      for (let i = 0; i < count; i++) replies.push(reply);
    }
  }
  return { replies, after: m[2], reason: m[3] };
}

function parseField(c, key, value) {
  const last = c.replies.at(-1);
  const ofReply = () => {
    if (!last) throw new Error(`${key}: before any reply:`);
    return last;
  };
  switch (key) {
    case 'rfc': c.rfc = value; return;
    case 'why': c.why = value; return;
    case 'send': c.steps.push({ kind: 'bytes', bytes: unescapeBytes(value) }); return;
    case 'wait': c.steps.push({ kind: 'wait', replies: Number(value) }); return;
    case 'fin': c.steps.push({ kind: 'fin' }); return;
    case 'reply': {
      const [reply, count] = parseReply(value);
      for (let i = 0; i < count; i++) c.replies.push(reply);
      return;
    }
    case 'body': ofReply().body = unescapeBytes(value); return;
    case 'header':
    case 'list': {
      const colon = value.indexOf(': ');
      if (colon < 1) throw new Error(`${key}: wants NAME: VALUE`);
      ofReply().checks.push({ kind: key, name: value.slice(0, colon), value: unescapeBytes(value.slice(colon + 2)) });
      return;
    }
    case 'has':
    case 'absent': ofReply().checks.push({ kind: key, name: value }); return;
    case 'then':
      if (!['open', 'closed', 'waiting'].includes(value)) throw new Error(`then: ${value}?`);
      c.after = value;
      return;
    case 'calls': c.calls = Number(value); return;
    case 'node': c.node = parseNode(value); return;
    default: throw new Error(`an unknown field ${key}:`);
  }
}

function finish(c) {
  for (const key of ['rfc', 'why', 'after']) if (!c[key]) throw new Error(`case ${c.name} lacks ${key}`);
  if (!c.steps.length) throw new Error(`case ${c.name} sends nothing`);
  c.calls ??= c.replies.filter((r) => r.status[0] === '2' && !r.optional).length;
  c.fin = c.steps.some((s) => s.kind === 'fin');
}

/// All cases of one file's text; throws with the file's name and the line.
export function parseCases(file, text) {
  const cases = [];
  let current = null;
  text.split('\n').forEach((line, index) => {
    try {
      if (line === '' || line[0] === '#') return;
      if (/\s$/.test(line)) throw new Error('white space at the end of a line (write \\s)');
      const m = /^([a-z]+):(?: (.*))?$/.exec(line);
      if (!m) throw new Error('a line that is no field');
      const [, key, value = ''] = m;
      if (key === 'case') {
        if (current) finish(current);
        if (!/^[a-z0-9-]+$/.test(value)) throw new Error(`a bad name: ${value}`);
        current = { name: value, file, steps: [], replies: [] };
        cases.push(current);
      } else {
        if (!current) throw new Error('a field before the first case');
        parseField(current, key, value);
      }
    } catch (error) {
      throw new Error(`${file}:${index + 1}: ${error.message}`);
    }
  });
  if (current) finish(current);
  return cases;
}

/// Every case of the directory, in the order of the files' names.
export function loadCases(dir = kCasesDir) {
  const cases = [];
  for (const file of fs.readdirSync(dir).filter((f) => f.endsWith('.txt')).sort()) {
    cases.push(...parseCases(file, fs.readFileSync(path.join(dir, file), 'latin1')));
  }
  const seen = new Set();
  for (const c of cases) {
    if (seen.has(c.name)) throw new Error(`${c.file}: the name ${c.name} is taken`);
    seen.add(c.name);
  }
  return cases;
}

// --------------------------------------------------------------------------------------------- responses

const kToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/// Reads one response from the front of `input`. Returns {used, status, version, headers, body}, null while
/// bytes are missing, or throws when it is not a correct message. `head`: it answers a HEAD request.
export function parseResponse(input, head, closed) {
  const end = input.indexOf('\r\n\r\n');
  if (end < 0) {
    if (closed) throw new Error(`the connection ended inside of a head: ${show(input)}`);
    const line = input.indexOf('\r\n');
    if (line >= 0) parseStatusLine(input.slice(0, line));
    return null;
  }
  const [first, ...lines] = input.slice(0, end).split('\r\n');
  const message = parseStatusLine(first);
  message.headers = lines.map((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
    if (!kToken.test(name) || /[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new Error(`a bad header line: ${show(line)}`);
    return [name, value];
  });
  let at = end + 4;
  const coding = headerValues(message, 'Transfer-Encoding');
  const length = headerValues(message, 'Content-Length');
  const bodiless = message.status < 200 || message.status === 204;
  if (coding.length + length.length > 1) throw new Error('more than one of Content-Length, Transfer-Encoding');
  if (bodiless && (coding.length || length.length)) throw new Error(`framing headers in a ${message.status}`);
  if (length.length && !/^[0-9]{1,9}$/.test(length[0])) throw new Error(`a bad Content-Length: ${length[0]}`);
  if (coding.length && coding[0] !== 'chunked') throw new Error(`a bad Transfer-Encoding: ${coding[0]}`);

  message.body = '';
  if (bodiless || head || message.status === 304) {
    message.used = at;
  } else if (coding.length) {
    for (;;) {
      const eol = input.indexOf('\r\n', at);
      if (eol < 0) return missing(closed);
      const size = input.slice(at, eol);
      if (!/^[0-9a-fA-F]{1,8}$/.test(size)) throw new Error(`a bad chunk size: ${show(size)}`);
      const n = parseInt(size, 16);
      at = eol + 2;
      if (input.length < at + n + 2) return missing(closed);
      if (input.slice(at + n, at + n + 2) !== '\r\n') throw new Error('chunk data that does not end with CRLF');
      message.body += input.slice(at, at + n);
      at += n + 2;
      if (n === 0) break;
    }
    message.used = at;
  } else if (length.length) {
    const n = Number(length[0]);
    if (input.length < at + n) return missing(closed);
    message.body = input.slice(at, at + n);
    message.used = at + n;
  } else {
    if (!closed) return null;
    message.body = input.slice(at);
    message.used = input.length;
  }
  return message;
}

function missing(closed) {
  if (closed) throw new Error('the connection ended inside of a body');
  return null;
}

function parseStatusLine(line) {
  const m = /^(HTTP\/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
  if (!m) throw new Error(`a bad status line: ${show(line)}`);
  return { version: m[1], status: Number(m[2]) };
}

function headerValues(message, name) {
  return message.headers.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, v]) => v);
}

const kListOf = (value) => value.split(',').map((s) => s.trim()).filter(Boolean).sort().join(', ');

function checkReply(expected, message) {
  if (expected.body !== undefined && expected.body !== message.body) {
    throw new Error(`body ${show(message.body)} instead of ${show(expected.body)}`);
  }
  for (const check of expected.checks) {
    const values = headerValues(message, check.name);
    const all = values.join(', ');
    const ok = check.kind === 'has' ? values.length > 0
      : check.kind === 'absent' ? values.length === 0
        : check.kind === 'header' ? values.length === 1 && all === check.value
          : values.length > 0 && kListOf(all) === kListOf(check.value);
    if (!ok) throw new Error(`${check.kind} ${check.name} ${check.value ?? ''}: got ${show(all)}`);
  }
}

const statusFits = (pattern, status) => pattern.endsWith('xx') ? pattern[0] === String(status)[0] : pattern === String(status);

/// Holds the bytes received so far against the expected replies. Returns {state: 'more'|'done', count, used,
/// last}; throws when they cannot become right any more. `count` replies are complete, in `used` bytes.
export function match(replies, received, closed) {
  let at = 0;
  let count = 0;
  let last = null;
  for (let i = 0; i < replies.length; i++) {
    const rest = received.slice(at);
    if (rest === '') {
      if (replies.slice(i).every((r) => r.optional)) break;
      if (closed) throw new Error(`closed after ${count} replies, before ${replies[i].status}`);
      return { state: 'more', count, used: at, last };
    }
    const status = /^HTTP\/1\.[01] ([0-9]{3})/.exec(rest);
    if (status && !statusFits(replies[i].status, status[1])) {
      if (replies[i].optional) continue;
      throw new Error(`reply ${count + 1} is ${status[1]} instead of ${replies[i].status}`);
    }
    const message = parseResponse(rest, replies[i].head, closed);
    if (!message) return { state: 'more', count, used: at, last };
    checkReply(replies[i], message);
    at += message.used;
    count++;
    last = message;
  }
  if (at < received.length) throw new Error(`unexpected bytes after the last reply: ${show(received.slice(at))}`);
  return { state: 'done', count, used: at, last };
}

/// Bytes as one would write them in a case, shortened.
export function show(bytes, limit = 160) {
  const text = bytes.replace(/[\\\x00-\x1f\x7f-\xff]/g, (c) =>
    ({ '\r': '\\r', '\n': '\\n', '\t': '\\t', '\0': '\\0', '\\': '\\\\' })[c]
    ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return text.length > limit ? `"${text.slice(0, limit)}"… (${bytes.length} bytes)` : `"${text}"`;
}

// ------------------------------------------------------------------------------------------------ playing

/// Ways to cut one run of bytes into writes: each returns a list of pieces.
export const kWriters = {
  whole: (bytes) => [bytes],
  dribble: (bytes) => bytes.split(''),
  splitAt: (position) => (bytes, start) => {
    const at = position - start;
    return at > 0 && at < bytes.length ? [bytes.slice(0, at), bytes.slice(at)] : [bytes];
  },
};

/// Plays `c` against a server and resolves with {failure, received}: failure is '' when all is as expected.
/// `expected` = {replies, after, strict}; with strict, a connection that closes says so in its last reply.
/// `cut` makes pieces of the bytes, each written on its own, at least `pause` ms apart. `deadline` ms for all;
/// a connection that stays silent for `quiet` ms is waiting.
export function play(c, { host, port, cut = kWriters.whole, pause = 0, expected, deadline = 3000, quiet = 250 }) {
  return new Promise((resolve) => {
    let received = '';
    let closed = false;
    let probed = false;
    let sent = false;
    let step = 0;
    let pieces = [];
    let offset = 0;
    let over = false;
    let quietTimer = null;
    let replies = expected.replies;
    const socket = net.connect({ host, port, noDelay: true });
    let knownPort = 0;
    const finishWith = (failure) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      clearTimeout(quietTimer);
      socket.destroy();
      resolve({ failure, received, localPort: knownPort });
    };
    const timer = setTimeout(() => finishWith(
      `nothing happened within ${deadline} ms (expected ${expected.after}; ${closed ? 'closed' : 'still open'})`), deadline);

    const judge = () => {
      if (over) return null;
      let result;
      try {
        result = match(replies, received, closed);
      } catch (error) {
        finishWith(error.message);
        return null;
      }
      if (result.state === 'more') return result;
      if (closed) {
        if (expected.after !== 'closed') finishWith('the connection was closed');
        else if (expected.strict && !c.fin && result.last && result.last.status >= 200
                 && !headerValues(result.last, 'Connection').some((v) => /\bclose\b/i.test(v))) {
          finishWith('closed without Connection: close in the last reply');
        } else finishWith('');
      } else if (sent && expected.after === 'open') {
        if (probed) {
          finishWith('');
        } else {
          probed = true;
          replies = [...replies, kProbeReply];
          socket.write(kProbe, 'latin1');
        }
      } else if (sent && expected.after === 'waiting' && !quietTimer) {
        quietTimer = setTimeout(() => finishWith(''), quiet);
      }
      return result;
    };

    const send = () => {
      if (over || closed) return;
      if (pieces.length) {
        const piece = pieces.shift();
        offset += piece.length;
        socket.write(piece, 'latin1');
        if (pause && pieces.length) setTimeout(send, pause);
        else setImmediate(send);
        return;
      }
      if (step === c.steps.length) {
        sent = true;
        judge();
        return;
      }
      const s = c.steps[step];
      if (s.kind === 'wait') {
        const result = judge();
        if (result && result.count >= s.replies) step++;
        else return;  // the next bytes from the server call again
      } else if (s.kind === 'fin') {
        step++;
        socket.end();
      } else {
        let bytes = '';
        while (c.steps[step]?.kind === 'bytes') bytes += c.steps[step++].bytes;
        pieces = cut(bytes, offset);
      }
      setImmediate(send);
    };

    socket.on('connect', () => {
      knownPort = socket.localPort;
      send();
    });
    socket.on('data', (data) => {
      received += data.toString('latin1');
      judge();
      if (c.steps[step]?.kind === 'wait' && !pieces.length) send();
    });
    const onClosed = () => {
      closed = true;
      judge();
      if (!over && expected.after === 'closed') finishWith('closed too early');
    };
    socket.on('end', onClosed);
    socket.on('error', (error) => {
      // A server that closed while we were still sending may reset: what it answered has been judged by then.
      if (['ECONNRESET', 'EPIPE', 'ECONNABORTED'].includes(error.code)) onClosed();
      else finishWith(`socket error: ${error.code}`);
    });
  });
}

/// GET of one path on a connection of its own; resolves with the body.
export async function getText({ host, port }, target) {
  const bytes = `GET ${target} HTTP/1.1\r\nHost: replay\r\nConnection: close\r\n\r\n`;
  const expected = { replies: [{ status: '200', optional: false, head: false, checks: [] }], after: 'closed' };
  const { failure, received } = await play({ steps: [{ kind: 'bytes', bytes }] }, { host, port, expected });
  if (failure) throw new Error(`GET ${target}: ${failure}`);
  return parseResponse(received, false, true).body;
}

/// Runs `job` over `items`, at most `width` at a time.
export async function inParallel(items, width, job) {
  const queue = [...items];
  await Promise.all(Array.from({ length: Math.min(width, queue.length) }, async () => {
    while (queue.length) await job(queue.shift());
  }));
}

export const byteCount = (c) => c.steps.reduce((n, s) => n + (s.bytes?.length ?? 0), 0);

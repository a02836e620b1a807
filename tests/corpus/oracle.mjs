// The differential oracle: the reference application (README.md) on Node's own HTTP server, and every case of
// the corpus played against it. A case whose outcome on Node differs carries a `node:` field that says how and
// why; a difference without one, and a `node:` field without a difference, are failures (exit 1).
//
//   node tests/corpus/oracle.mjs [NAME…]     NAME: only these cases, with the bytes that came back
//   node tests/corpus/oracle.mjs --serve     serves the reference application, for replay.mjs

import http from 'node:http';
import { inParallel, loadCases, play, show } from './corpus.mjs';

const kMaxContentLength = 16 * 1024;
const kMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE'];

// ---------------------------------------------------------------------------------- the reference application

class BadTarget extends Error {}

function percentDecode(text) {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new BadTarget();
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  if (bytes.includes('\0')) throw new BadTarget();
  return bytes;
}

function canonicalQuery(query) {
  const word = (text) => percentDecode(text.replaceAll('+', ' '));
  return query.split('&').filter(Boolean).map((pair) => {
    const at = pair.indexOf('=');
    return at < 0 ? `[${word(pair)}]=[]` : `[${word(pair.slice(0, at))}]=[${word(pair.slice(at + 1))}]`;
  }).join('');
}

function intArgument(text) {
  const value = Number(text);
  return /^-?[0-9]+$/.test(text) && Math.abs(value) < 2 ** 31 ? String(value) : null;
}

/// [methods, handler] of a path, or null.
function route(path, query) {
  const fixed = {
    '/': [['GET'], () => 'hello'],
    '/probe': [['GET'], () => 'probe'],
    '/echo': [['POST'], (req, body) => body],
    '/len': [['POST'], (req, body) => String(body.length)],
    '/query': [['GET'], () => canonicalQuery(query)],
    '/host': [['GET'], (req) => `[${req.headers.host ?? ''}]`],
    '/header': [['GET'], (req) => `[${req.headers['x-value'] ?? ''}]`],
    '/method': [['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], (req) => req.method],
    '/chunked': [['GET'], () => ['a', 'bc', 'def']],
    '/empty': [['GET'], () => null],
    '/calls': [['GET'], () => String([...calls.values()].reduce((a, b) => a + b, 0))],
  };
  if (Object.hasOwn(fixed, path)) return fixed[path];
  const user = path.startsWith('/users/') ? intArgument(path.slice(7)) : null;
  if (user !== null) return [['GET'], () => user];
  if (path.startsWith('/files/') && path.length > 7) return [['GET'], () => percentDecode(path.slice(7))];
  return null;
}

const calls = new Map();  // client port -> number of handler calls

function respond(req, res, body) {
  const plain = (status, text, headers = {}) => {
    res.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': text.length, ...headers });
    res.end(text, 'latin1');
  };
  if (!kMethods.includes(req.method)) return plain(501, 'Not Implemented');
  if (req.url === '*') return plain(200, '');
  const target = req.url.replace(/^https?:\/\/[^/?]*/i, '').replace(/^(?=\?|$)/, '/');
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? '' : target.slice(question + 1);
  try {
    percentDecode(path);
    canonicalQuery(query);
    const found = route(path, query);
    if (!found) return plain(404, 'Not Found');
    const [methods, handler] = found;
    const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'];
    if (req.method === 'OPTIONS') return plain(200, '', { Allow: allow.join(', ') });
    if (!allow.includes(req.method)) return plain(405, 'Method Not Allowed', { Allow: allow.join(', ') });
    const port = req.socket.remotePort;
    if (!['/probe', '/calls'].includes(path)) calls.set(port, (calls.get(port) ?? 0) + 1);
    const answer = handler(req, body);
    if (answer === null) {
      res.writeHead(204);
      return res.end();
    }
    if (Array.isArray(answer)) {
      res.writeHead(200, { 'Content-Type': 'text/plain' });
      for (const part of answer) res.write(part);
      return res.end();
    }
    return plain(200, answer);
  } catch (error) {
    if (!(error instanceof BadTarget)) throw error;
    return plain(400, 'Bad Request', { Connection: 'close' });
  }
}

function onRequest(req, res) {
  let body = '';
  const tooLarge = () => {
    req.removeAllListeners('data').removeAllListeners('end');
    res.writeHead(413, { Connection: 'close', 'Content-Length': 0 });
    res.end();
    req.resume();
  };
  if (Number(req.headers['content-length'] ?? 0) > kMaxContentLength) return tooLarge();
  req.on('data', (data) => {
    body += data.toString('latin1');
    if (body.length > kMaxContentLength) tooLarge();
  });
  req.on('end', () => respond(req, res, body));
  req.on('error', () => {});
}

// ------------------------------------------------------------------------------------------------- comparing

const names = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const cases = loadCases().filter((c) => !names.length || names.includes(c.name));
const server = http.createServer({
  insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: 8192, keepAliveTimeout: 60000,
}, onRequest);
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const at = { host: '127.0.0.1', port: server.address().port };

if (process.argv.includes('--serve')) {
  console.log(`listening on 127.0.0.1:${at.port}`);
  await new Promise(() => {});
}

const unexplained = [];
const explained = [];
await inParallel(cases, 32, async (c) => {
  const ours = { replies: c.replies, after: c.after, strict: true };
  const result = await play(c, { ...at, expected: ours, deadline: c.node ? 1000 : 3000 });
  if (!result.failure) {
    const made = calls.get(result.localPort) ?? 0;
    if (made !== c.calls) result.failure = `${made} handler calls instead of ${c.calls}`;
  }
  if (names.length) console.log(`${c.name}: ${result.failure || 'as expected'}\n  ${show(result.received, 2000)}`);
  if (!c.node) {
    if (result.failure) unexplained.push([c, result.failure, result.received]);
  } else if (!result.failure) {
    unexplained.push([c, 'node: says that Node differs, but it does not', result.received]);
  } else {
    const asSaid = await play(c, { ...at, expected: { ...c.node, strict: false } });
    if (asSaid.failure) unexplained.push([c, `not what node: says: ${asSaid.failure}`, asSaid.received]);
    else explained.push([c, result.failure]);
  }
});
server.closeAllConnections();
server.close();

const order = ([a], [b]) => cases.indexOf(a) - cases.indexOf(b);
const statuses = (e) => `${e.replies.map((r) => r.status + (r.optional ? '?' : '')).join(' ') || 'none'} ${e.after}`;
const clip = (text, n) => text.length > n ? `${text.slice(0, n - 1)}…` : text;
console.log(`${'case'.padEnd(44)} ${'ours'.padEnd(18)} ${'Node'.padEnd(18)} why Node differs`);
for (const [c] of explained.sort(order)) {
  console.log(`${c.name.padEnd(44)} ${clip(statuses(c), 18).padEnd(18)} ${clip(statuses(c.node), 18).padEnd(18)} ${c.node.reason}`);
}
for (const [c, failure, received] of unexplained.sort(order)) {
  console.log(`UNEXPLAINED ${c.file} ${c.name}: ${failure}\n  Node ${process.version} answered ${show(received, 300)}`);
}
console.log(`${cases.length} cases: Node ${process.version} agrees on ${cases.length - explained.length - unexplained.length}, `
  + `differs on ${explained.length} with an explanation, on ${unexplained.length} without`);
process.exit(unexplained.length ? 1 : 0);

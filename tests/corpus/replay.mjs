// Replays the corpus over real sockets against a server that runs the reference application (README.md).
//
//   node tests/corpus/replay.mjs HOST PORT [--dribble | --split] [--only=NAME,…]
//
// Without a mode each run of bytes goes out in one write, one case after the other, and the server's count of
// handler calls (GET /calls) is compared after every case. --dribble writes byte by byte, --split cuts each case
// in two at a dozen places; both play many cases at a time and compare the sum of the calls at the end.
// Exit 1 when any outcome is not as expected.

import { byteCount, getText, inParallel, kWriters, loadCases, play, show } from './corpus.mjs';

const [host, port, ...options] = process.argv.slice(2);
const mode = ['--dribble', '--split'].find((m) => options.includes(m)) ?? '--whole';
const only = options.find((o) => o.startsWith('--only='))?.slice(7).split(',');
if (!host || !/^[0-9]+$/.test(port ?? '') || options.some((o) => o !== mode && !o.startsWith('--only='))) {
  console.error('usage: replay.mjs HOST PORT [--dribble | --split] [--only=NAME,…]');
  process.exit(2);
}
const at = { host, port: Number(port) };
const cases = loadCases().filter((c) => !only || only.includes(c.name));
if (!cases.length) throw new Error('no such case');

const kSplits = 12;
const failures = [];
let played = 0;
const handlerCalls = async () => Number(await getText(at, '/calls'));

async function one(c, how, label) {
  const result = await play(c, {
    ...at, ...how, expected: { replies: c.replies, after: c.after, strict: true },
    deadline: 5000 + 2 * byteCount(c),
  });
  played++;
  if (result.failure) failures.push(`${c.file} ${c.name}${label}: ${result.failure}\n  got ${show(result.received, 300)}`);
  return !result.failure;
}

async function wholeOneByOne() {
  for (const c of cases) {
    const before = await handlerCalls();
    if (!await one(c, { cut: kWriters.whole }, '')) continue;
    const made = await handlerCalls() - before;
    if (made !== c.calls) failures.push(`${c.file} ${c.name}: ${made} handler calls instead of ${c.calls}`);
  }
}

async function manyAtOnce(jobs) {
  const before = await handlerCalls();
  await inParallel(jobs, 16, ([c, how, label]) => one(c, how, label));
  const made = await handlerCalls() - before;
  const wanted = jobs.reduce((sum, [c]) => sum + c.calls, 0);
  if (!failures.length && made !== wanted) failures.push(`${made} handler calls instead of ${wanted} in all`);
}

function splits(c, index) {
  const size = byteCount(c);
  const positions = new Set();
  for (let i = 0; i < kSplits; i++) positions.add(1 + (Math.floor((i * size) / kSplits) + index) % Math.max(size - 1, 1));
  return [...positions].map((p) => [c, { cut: kWriters.splitAt(p), pause: 2 }, ` split at ${p}`]);
}

const started = Date.now();
if (mode === '--whole') await wholeOneByOne();
else if (mode === '--dribble') await manyAtOnce(cases.map((c) => [c, { cut: kWriters.dribble }, ' dribbled']));
else await manyAtOnce(cases.flatMap(splits));

for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${mode.slice(2)}: ${played} plays of ${cases.length} cases in ${Date.now() - started} ms, ${failures.length} failures`);
process.exit(failures.length ? 1 : 0);

// Writes the corpus' cases as seeds for tests/fuzz/server_fuzzer.cpp: how the client behaves in two bytes (see
// there), then what it sends.
//
//   node tests/corpus/seeds.mjs DIRECTORY

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteCount, loadCases } from './corpus.mjs';

const kMost = 1200;  // larger cases are about limits that the fuzzer's server has not

const [directory] = process.argv.slice(2);
if (!directory) {
  console.error('usage: seeds.mjs DIRECTORY');
  process.exit(2);
}
mkdirSync(directory, { recursive: true });
loadCases().filter((c) => byteCount(c) <= kMost).forEach((c, i) => {
  const how = (i % 8) | (i % 3 === 0 ? 8 : 0) | (c.steps.some((s) => s.kind === 'fin') ? 16 : 0);
  const window = i % 5 === 0 ? 1 + (i % 100) : 0;
  const bytes = c.steps.filter((s) => s.bytes).map((s) => Buffer.from(s.bytes, 'latin1'));
  writeFileSync(join(directory, c.name), Buffer.concat([Buffer.from([how, window]), ...bytes]));
});

import { it } from 'vitest';
import { startKit } from '../test/kit.ts';
import { CitationStream } from './modules/chat/citations.ts';
it('x', async () => {
  const text = Array.from({ length: 200_000 }, (_, index) => `w${index}`).join(' ');
  for (const n of [10_000, 20_000, 40_000]) {
  const t = Date.now();
  new CitationStream([], true).push(text.slice(0, n));
  console.log(n, Date.now() - t);
  }
}, 60000);

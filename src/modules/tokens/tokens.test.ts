import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kit, startKit } from '../../../test/kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.close());

test('smoke', async () => {
  const t = performance.now();
  const { data } = await kit.gql('{ viewer { name role } }', {}, kit.keys.LIMITED);
  expect(data.viewer.role).toBe('LIMITED');
  console.log(performance.now() - t);
});

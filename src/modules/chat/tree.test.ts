import { describe, expect, it } from 'vitest';
import { mainline, root } from './tree.ts';

type Link = [id: number, parentId: number | null, latestChildId: number | null];
const tree = (...links: Link[]) => links.map(([id, parentId, latestChildId]) => ({ id, parentId, latestChildId }));
const ids = (...links: Link[]) => mainline(tree(...links)).map(({ id }) => id);

describe('root', () => {
  it('is the message without a parent, wherever it stands', () => {
    expect(root(tree([5, 4, null], [4, null, 5])).id).toBe(4);
  });

  it('is missed loudly: no session is without one', () => {
    expect(() => root(tree([5, 4, null]))).toThrow('without a root');
    expect(() => root([])).toThrow('without a root');
  });
});

describe('mainline', () => {
  it('goes from the root along the latest children, whatever the order of the rows', () => {
    expect(ids([3, 2, null], [1, null, 2], [2, 1, 3])).toEqual([1, 2, 3]);
    expect(ids([1, null, null])).toEqual([1]);
  });

  it('leaves branches aside that are not the latest', () => {
    expect(ids([1, null, 4], [2, 1, 3], [3, 2, null], [4, 1, 5], [5, 4, null])).toEqual([1, 4, 5]);
    // Back on the older of two branches, although a newer one exists.
    expect(ids([1, null, 2], [2, 1, 3], [3, 2, null], [4, 1, 5], [5, 4, null])).toEqual([1, 2, 3]);
  });

  it('ends where the latest child is gone, and on a tree that is none', () => {
    expect(ids([1, null, 2], [2, 1, 99])).toEqual([1, 2]);
    expect(ids([1, null, 2], [2, 1, 1])).toEqual([1, 2]);
  });
});

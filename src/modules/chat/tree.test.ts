import { describe, expect, it } from 'vitest';
import { mainline, root } from './tree.ts';

type Link = [id: number, parentId: number | null, latestChildId: number | null];
const tree = (...links: Link[]) => links.map(([id, parentId, latestChildId]) => ({ id, parentId, latestChildId }));
const ids = (...links: Link[]) => mainline(tree(...links)).map(({ id }) => id);

describe('the root of a message tree', () => {
  it('is the message without a parent, regardless of its position', () => {
    expect(root(tree([5, 4, null], [4, null, 5])).id).toBe(4);
  });

  it('causes an error when it is missing', () => {
    expect(() => root(tree([5, 4, null]))).toThrow('without a root');
    expect(() => root([])).toThrow('without a root');
  });
});

describe('the main line of a message tree', () => {
  it('follows the latest children from the root, regardless of the order of the rows', () => {
    expect(ids([3, 2, null], [1, null, 2], [2, 1, 3])).toEqual([1, 2, 3]);
    expect(ids([1, null, null])).toEqual([1]);
  });

  it('omits branches other than the latest', () => {
    expect(ids([1, null, 4], [2, 1, 3], [3, 2, null], [4, 1, 5], [5, 4, null])).toEqual([1, 4, 5]);
    // Back on the older of two branches, although a newer one exists.
    expect(ids([1, null, 2], [2, 1, 3], [3, 2, null], [4, 1, 5], [5, 4, null])).toEqual([1, 2, 3]);
  });

  it('ends at a missing latest child and at a cycle', () => {
    expect(ids([1, null, 2], [2, 1, 99])).toEqual([1, 2]);
    expect(ids([1, null, 2], [2, 1, 1])).toEqual([1, 2]);
  });
});

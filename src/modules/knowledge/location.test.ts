import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atLocations, FolderName, fileNameOf, Location } from './location.ts';

const uuid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

describe('a file name', () => {
  it.each([
    ['Hello World', '', 'hello-world'],
    ['Notes.TXT', '', 'notes.TXT'],
    ['C++ & Ärger!', 'raw-', 'raw-c-plus-plus-and-arger-bang'],
    ['docs.example.com-guide', 'url-', 'url-docs-dot-example-dot-com-guide'],
    ['../../etc/passwd', '', 'dot-dot-dot-dot-etcpasswd'],
  ])('is derived from the title %j', (title, prefix, slug) => {
    expect(fileNameOf(title, { prefix, id: 'x' })).toBe(`${slug}-x.json`);
  });

  it('is valid in a folder, and is unique for every document', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), (title) => {
        const name = fileNameOf(title);
        expect(name).toMatch(new RegExp(`-${uuid}\\.json$`));
        expect(Location.safeParse(`custom-documents/${name}`).success).toBe(true);
        expect(fileNameOf(title)).not.toBe(name);
      }),
    );
  });
});

describe('a location', () => {
  it('consists of a folder and a file name', () => {
    expect(Location.parse('birds/auk.json')).toEqual({ folder: 'birds', fileName: 'auk.json' });
  });

  it.each(['', 'x', '/x', 'x/', 'a/b/c', '../x', 'a/..', 'a\\b/c', 'a/\0', `a/${'x'.repeat(256)}`])(
    'rejects %j',
    (text) => {
      expect(Location.safeParse(text).success).toBe(false);
    },
  );

  it.each(['', ' ', '.', '..', 'a/b', 'a\\b', 'a\nb', '\ud800'])('rejects the folder name %j', (name) => {
    expect(FolderName.safeParse(name).success).toBe(false);
  });

  it('matches no document when it is invalid', () => {
    for (const locations of [[], ['x'], ['../x', '', 'a/b/c']])
      expect(atLocations(locations)).toEqual({ id: { in: [] } });
  });
});

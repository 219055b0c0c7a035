import { describe, expect, it } from 'vitest';
import {
  commentsOf,
  constructions,
  countWords,
  findings,
  isShort,
  markdownProseOf,
  openApiDescriptionsOf,
  problemOf,
  sdlDescriptionsOf,
} from '../scripts/prose.mjs';

const found = (text: string): string[] => findings(text).map((finding) => finding.text);

describe('the prose check', () => {
  it('finds each discouraged construction, in any case, and states a replacement', () => {
    expect(found('What is sent goes to whoever asks.')).toEqual(['What is', 'whoever']);
    expect(found('Nobody holds a token of one’s own.')).toEqual(['Nobody', 'one’s']);
    expect(found('It stands beside the header.')).toEqual(['stands', 'beside']);
    for (const { instead } of constructions) expect(instead.length).toBeGreaterThan(10);
  });

  it('accepts standard English', () => {
    expect(found('Returns the session of the caller. Throws NOT_FOUND when it does not exist.')).toEqual([]);
    expect(found('A standalone server understands nothingness.')).toEqual([]);
  });

  it('reads comments but not code or strings', () => {
    const source = "/** Returns a value. */\nconst text = 'nobody'; // The default.\n/* One.\n * Two. */";
    expect(commentsOf(source)).toEqual(['/** Returns a value. */', '// The default.', '/* One.\n * Two. */']);
  });

  it('reads the descriptions of a schema and of an OpenAPI document', () => {
    expect(sdlDescriptionsOf('"""The name."""\nname: String\n"""\nAn opaque cursor.\n"""\ncursor: String')).toEqual([
      'The name.',
      'An opaque cursor.',
    ]);
    expect(
      openApiDescriptionsOf({
        paths: { '/me': { get: { summary: 'Read the caller', description: 'Runs:\n```graphql\n{ nobody }\n```' } } },
        tags: [{ description: 'All paths.' }],
      }),
    ).toEqual(['Read the caller', 'Runs:\n', 'All paths.']);
  });

  it('reads Markdown without code, comments and link targets', () => {
    const markdown = 'See [a page](nobody.md) and `nobody`.\n\n```sh\nnobody\n```\n<!-- nobody -->';
    expect(found(markdownProseOf(markdown))).toEqual([]);
    expect(markdownProseOf(markdown)).toContain('See [a page] and');
  });

  it('counts words, and descriptions of up to three words as short', () => {
    expect(countWords('The token’s owner, at most 20.')).toBe(5);
    expect(isShort('The display name.')).toBe(true);
    expect(isShort('The name for display.')).toBe(false);
  });

  it('reports a folder above its ceiling, and counts a small one as 1,000 words', () => {
    const texts = ['nobody '.repeat(4) + 'word '.repeat(996)];
    expect(problemOf({ name: 'docs', texts })).toEqual({
      group: 'docs',
      message: '4.0 findings per 1,000 words; the limit is 3',
    });
    expect(problemOf({ name: 'docs', texts }, 4)).toBeNull();
    expect(problemOf({ name: 'docs', texts: ['nobody knows', 'nothing', 'none'] })).toBeNull();
  });
});

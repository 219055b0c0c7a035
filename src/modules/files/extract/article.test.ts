import { describe, expect, it } from 'vitest';
import { readText } from './reader.ts';

const read = (page: string) => readText('article', new Uint8Array(Buffer.from(page)));
const story = `<p>${'The keeper counts the walruses, every morning, and writes them down. '.repeat(12)}</p>`;

describe('a web page', () => {
  it('is reduced to its main text under its title', async () => {
    const text = await read(
      `<!doctype html><html><head><title> A&amp;B\n page </title></head><body><nav>All pages</nav>
       <article><h1>Heading</h1>${story}<ul><li>one</li></ul></article><footer>Imprint</footer></body></html>`,
    );
    expect(text).toMatch(/^# A&B page\n\n/);
    expect(text).toContain('counts the walruses');
    expect(text).toContain('- ');
    expect(text).not.toMatch(/All pages|Imprint/);
  });

  it('is extracted completely when no main part is found', async () => {
    expect(await read('<p>short</p>')).toBe('short');
    expect(await read('<html><body><p>short</p></body></html>')).toBe('short');
    expect(await read('plain')).toBe('plain');
  });

  it('is extracted without running scripts or fetching resources', async () => {
    const text = await read(
      `<html><head><title>Title</title></head><body><script>document.title = "run"; globalThis.ran = true</script>
       <img src="http://127.0.0.1:1/x.png" onerror="globalThis.ran = true"><article>${story}</article></body></html>`,
    );
    expect(text).toMatch(/^# Title\n/);
    expect(globalThis).not.toHaveProperty('ran');
  });

  it('is rejected when it contains no text, even with a title', async () => {
    await expect(read('<html><head><title>Title</title></head><body> </body></html>')).rejects.toThrow(
      'contains no readable text',
    );
  });

  it('is extracted without delay when it contains 300,000 unclosed title tags', async () => {
    expect((await read(`<p>Words</p>${'<title '.repeat(300_000)}`)).trim()).toBe('Words');
  });

  it('is rejected before parsing when it is nested too deeply', async () => {
    await expect(read('<div>'.repeat(100_000))).rejects.toThrow('is nested too deeply');
  });
});

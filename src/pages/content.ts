import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Context as HonoContext } from 'hono';
import { accepts } from 'hono/accepts';
import { projectRoot } from '../project-root.ts';

/** The folder of the scripts and styles that `scripts/pages.mjs` builds. */
export const assetFolder = join(projectRoot, 'dist', 'pages');

/** Encodings by preference, each with the suffix of the compressed file. */
const encodings = { br: '.br', gzip: '.gz', identity: '' } as const;
type Encoding = keyof typeof encodings;
const supported = Object.keys(encodings) as Encoding[];

/** Returns the encoding that the client prefers; the smallest of those that it ranks equally. */
function encodingFor(c: HonoContext): Encoding {
  return accepts(c, {
    header: 'Accept-Encoding',
    supports: supported,
    default: 'identity',
    match: (ranges, config) => {
      const weight = (encoding: string) =>
        (ranges.find(({ type }) => type.toLowerCase() === encoding) ?? ranges.find(({ type }) => type === '*'))?.q ?? 0;
      const [best = config.default] = supported.toSorted((a, b) => weight(b) - weight(a));
      return weight(best) > 0 ? best : config.default;
    },
  }) as Encoding;
}

function send(c: HonoContext, encoding: Encoding, bytes: Uint8Array<ArrayBuffer>): Response {
  if (encoding !== 'identity') c.header('Content-Encoding', encoding);
  return c.body(bytes);
}

/** Returns whether the client has the version of a response that an entity tag names. */
const isKnown = (c: HonoContext, etag: string): boolean =>
  c.req
    .header('If-None-Match')
    ?.split(',')
    .some((each) => each.trim().replace(/^W\//, '') === etag) ?? false;

/** Serves a file of `assetFolder`. Its name contains a hash of its content, so that browsers cache it for a year. */
export async function serveAsset(c: HonoContext, file: string): Promise<Response> {
  const encoding = encodingFor(c);
  const bytes = await readFile(join(assetFolder, file + encodings[encoding]));
  c.header('Content-Type', file.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8');
  c.header('Cache-Control', 'public, max-age=31536000, immutable');
  c.header('Vary', 'Accept-Encoding', { append: true });
  return send(c, encoding, bytes as Uint8Array<ArrayBuffer>);
}

/** An HTML page, compressed once for all requests. */
export interface Page {
  respond(c: HonoContext): Response;
}

/** Creates a page. Browsers ask for it again on each visit and receive 304 when it has not changed. */
export function createPage(html: string): Page {
  const identity = new TextEncoder().encode(html);
  const bodies = {
    identity,
    gzip: new Uint8Array(gzipSync(identity)),
    br: new Uint8Array(brotliCompressSync(identity)),
  };
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 32);
  return {
    respond(c) {
      const encoding = encodingFor(c);
      const etag = `"${hash}-${encoding}"`;
      c.header('Content-Type', 'text/html; charset=utf-8');
      c.header('Cache-Control', 'no-cache');
      c.header('ETag', etag);
      c.header('Vary', 'Accept, Accept-Encoding', { append: true });
      return isKnown(c, etag) ? c.body(null, 304) : send(c, encoding, bodies[encoding]);
    },
  };
}

/** A file that was built with its compressed forms, to be revalidated on each visit. */
export interface BuiltFile {
  file: string;
  /** The media type. */
  type: string;
  /** A hash of the content. */
  hash: string;
}

/** Serves a built file of a folder. A client that has its current version receives 304, unless the status is an error. */
export async function serveBuiltFile(
  c: HonoContext,
  folder: string,
  { file, type, hash }: BuiltFile,
  status: 200 | 404 | 405 = 200,
): Promise<Response> {
  const encoding = encodingFor(c);
  const etag = `"${hash}-${encoding}"`;
  c.header('Content-Type', type);
  c.header('Cache-Control', 'no-cache');
  c.header('Vary', 'Accept-Encoding', { append: true });
  c.status(status);
  if (status === 200) {
    c.header('ETag', etag);
    if (isKnown(c, etag)) return c.body(null, 304);
  }
  return send(c, encoding, (await readFile(join(folder, file + encodings[encoding]))) as Uint8Array<ArrayBuffer>);
}

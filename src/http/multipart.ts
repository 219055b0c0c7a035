import { Readable } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { badInput } from '../errors.ts';
import { fileName, parametersOf, partName } from './content-disposition.ts';

/** Maximum number of parts in a multipart body, fields and files together. */
const maxParts = 100;

/** A file of a multipart body, of any of the runtime's classes. */
export type IncomingFile = Blob & { name: string };

/** No JSON value matches, since JSON has no functions. */
export const isFile = (value: unknown): value is IncomingFile => {
  const { arrayBuffer, name } = (typeof value === 'object' && value !== null ? value : {}) as Partial<IncomingFile>;
  return typeof arrayBuffer === 'function' && typeof name === 'string';
};

export const multipart = /^multipart\/form-data\s*(;|$)/i;

/** Number of bytes that are parsed before other tasks run. */
const sliceSize = 64 * 1024;

function* slices(bytes: ArrayBuffer): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += sliceSize)
    yield new Uint8Array(bytes, at, Math.min(sliceSize, bytes.byteLength - at));
}

interface ReadPart {
  headers: Record<string, string[] | undefined>;
  content: Uint8Array<ArrayBuffer>[];
}

/**
 * Parses a multipart body. A part with a file name, in any form of RFC 7578 and its predecessors, is a file. Throws
 * BAD_USER_INPUT for an invalid or incomplete body, a part without a name, and more than 100 parts.
 */
export async function parseMultipart(bytes: ArrayBuffer, contentType: string): Promise<FormData> {
  const dicer = parserOf(contentType);
  const parts: ReadPart[] = [];
  await new Promise<void>((resolve, reject) => {
    const refuse = (problem: string) => {
      dicer.destroy();
      reject(badInput(['body'], problem));
    };
    dicer.on('part', (stream) => {
      if (parts.length === maxParts) refuse(`has more than ${maxParts} parts`);
      const part: ReadPart = { headers: {}, content: [] };
      parts.push(part);
      stream.on('header', (headers) => {
        part.headers = headers as ReadPart['headers'];
      });
      stream.on('data', (data: Uint8Array<ArrayBuffer>) => part.content.push(data));
      // The parser reports the same error.
      stream.on('error', () => {});
    });
    dicer.on('finish', resolve);
    dicer.on('error', () => refuse('is not a complete multipart form'));
    Readable.from(slices(bytes)).pipe(dicer);
  });
  const form = new FormData();
  for (const part of parts) addTo(form, part);
  return form;
}

/** Adds a part to a form. A part without Content-Disposition is not part of a form and is ignored. */
function addTo(form: FormData, { headers, content }: ReadPart): void {
  const [disposition = ''] = headers['content-disposition'] ?? [];
  if (!/^\s*form-data\s*(;|$)/i.test(disposition)) return;
  const parameters = parametersOf(disposition);
  const name = partName(parameters);
  if (name === undefined) throw badInput(['body'], 'has a part without a name');
  const type = headers['content-type']?.[0] ?? 'text/plain';
  const file = fileName(parameters);
  if (file === undefined) form.append(name, textOf(content, parametersOf(type).get('charset')));
  else form.append(name, new File(content, file, { type: type.replace(/;.*$/s, '').trim().toLowerCase() }), file);
}

/** Returns the text of a field, which is UTF-8 by default. */
function textOf(content: readonly Uint8Array[], charset = 'utf-8'): string {
  const bytes = Buffer.concat(content);
  try {
    return new TextDecoder(charset, { ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes.toString('utf8');
  }
}

function parserOf(contentType: string): Dicer {
  const boundary = parametersOf(contentType).get('boundary');
  if (!boundary) throw badInput(['body'], 'has no boundary');
  return new Dicer({ boundary });
}

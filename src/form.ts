import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import { AppError, badInput } from './errors.ts';

/** Parts of a multipart body: fields and files together. */
const mostParts = 100;

/** A file of a multipart body, whichever of the runtime's classes it is. */
export type IncomingFile = Blob & { name: string };

/** No value of JSON is one, since those have no functions. */
export const isFile = (value: unknown): value is IncomingFile => {
  const { arrayBuffer, name } = (typeof value === 'object' && value !== null ? value : {}) as Partial<IncomingFile>;
  return typeof arrayBuffer === 'function' && typeof name === 'string';
};

export const multipart = /^multipart\/form-data\s*(;|$)/i;

/** What browsers write in a name for a quote and for line ends (HTML, "multipart/form-data encoding algorithm"). */
const plainName = (name: string): string =>
  name.replaceAll(/%(22|0D|0A)/gi, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16)));

/** Bytes that are looked at before others have their turn. */
const sliceSize = 64 * 1024;

function* slices(bytes: ArrayBuffer): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += sliceSize)
    yield new Uint8Array(bytes, at, Math.min(sliceSize, bytes.byteLength - at));
}

/**
 * Reads a multipart body, with quotes around names or without. Throws BAD_USER_INPUT for what is none, broke off, has a
 * part without a name, or more than 100 parts.
 */
export async function parseMultipart(bytes: ArrayBuffer, contentType: string): Promise<FormData> {
  const form = new FormData();
  const parser = parserOf(contentType);
  const refuse = (problem: string) => void parser.destroy(badInput(['body'], problem));
  const place = (name: string | undefined, value: string | File) => {
    if (name === undefined) refuse('has a part without a name');
    else if (typeof value === 'string') form.append(name, value);
    else form.append(name, value, value.name);
  };
  parser.on('partsLimit', () => refuse(`has more than ${mostParts} parts`));
  parser.on('field', (name: string | undefined, value) => place(name, value));
  parser.on('file', (name: string | undefined, stream, fileName, _encoding, type) => {
    const content: Uint8Array<ArrayBuffer>[] = [];
    stream.on('data', (part: Uint8Array<ArrayBuffer>) => content.push(part));
    stream.on('end', () => place(name, new File(content, plainName(fileName), { type })));
    // The parser says it too.
    stream.on('error', () => {});
  });
  try {
    await pipeline(Readable.from(slices(bytes)), parser);
  } catch (error) {
    throw error instanceof AppError ? error : badInput(['body'], 'is not a multipart form, or broke off');
  }
  return form;
}

function parserOf(contentType: string) {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: { parts: mostParts, fieldSize: Number.POSITIVE_INFINITY },
      preservePath: true,
      isPartAFile: (_name, _type, fileName) => fileName !== undefined,
    });
  } catch {
    throw badInput(['body'], 'has no boundary');
  }
}

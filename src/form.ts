import { badInput } from './errors.ts';

/** Parts of a multipart body: fields and files together. */
const mostParts = 100;

/** A file of a multipart body, whichever of the runtime's classes it is. */
export type IncomingFile = Blob & { name: string };

export const isFile = (value: unknown): value is IncomingFile =>
  typeof value === 'object' && value !== null && 'arrayBuffer' in value && 'name' in value;

export const multipart = /^multipart\/form-data\s*;/i;

/** Reads a multipart body. Throws BAD_USER_INPUT for what is none, broke off, or has more than 100 parts. */
export async function parseMultipart(bytes: ArrayBuffer, contentType: string): Promise<FormData> {
  const boundary = /boundary="?([^";]{1,70})/i.exec(contentType)?.[1];
  if (boundary === undefined) throw badInput(['body'], 'has no boundary');
  const mark = `--${boundary.trim()}`;
  const body = Buffer.from(bytes);
  let parts = 0;
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length))
    if (++parts > mostParts + 1) throw badInput(['body'], `has more than ${mostParts} parts`);
  try {
    return await new Response(bytes, { headers: { 'content-type': contentType } }).formData();
  } catch {
    throw badInput(['body'], 'is not a multipart form, or broke off');
  }
}

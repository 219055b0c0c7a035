import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer, GraphQLAnswer, Kit } from './kit.ts';

/** A part of a form as sent: a file if it has a file name. */
export interface Part {
  name: string;
  /** Sent unescaped: the caller escapes quotes and line breaks. */
  fileName?: string;
  content: string | Uint8Array;
  /** The full Content-Disposition, instead of the one from `name` and `fileName`. */
  disposition?: string;
}

export const boundary = 'latchkey-test-boundary';

/** Returns a form as bytes. */
export function formBytes(parts: readonly Part[], mark = boundary): Uint8Array<ArrayBuffer> {
  const pieces = parts.flatMap(({ name, fileName, content, disposition }) => [
    `--${mark}\r\nContent-Disposition: `,
    disposition ?? `form-data; name="${name}"${fileName === undefined ? '' : `; filename="${fileName}"`}`,
    '\r\n\r\n',
    content,
    '\r\n',
  ]);
  return Uint8Array.from(Buffer.concat([...pieces, `--${mark}--\r\n`].map((piece) => Buffer.from(piece as string))));
}

interface Sending {
  key?: string | null | undefined;
  headers?: Record<string, string>;
  mark?: string;
}

/** Posts a form. */
export async function postForm(
  kit: Kit,
  path: string,
  body: readonly Part[] | BodyInit,
  { key = kit.keys.BASIC, headers = {}, mark = boundary }: Sending = {},
): Promise<Answer> {
  const response = await fetch(`${kit.url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${mark}`,
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: Array.isArray(body) ? formBytes(body, mark) : (body as BodyInit),
  });
  const text = await response.text();
  const { status, headers: replied } = response;
  return { status, headers: replied, text, body: /^[[{]/.test(text) ? JSON.parse(text) : undefined };
}

export const uploadPath = '/api/user/projects/file/upload';

/** Uploads over REST; a text among the files is an empty file with that name. */
export const uploadRest = (
  kit: Kit,
  files: Record<string, string | Uint8Array>,
  { fields = {}, ...sending }: Sending & { fields?: Record<string, string> } = {},
): Promise<Answer> =>
  postForm(
    kit,
    uploadPath,
    [
      ...Object.entries(files).map(([fileName, content]) => ({ name: 'files', fileName, content })),
      ...Object.entries(fields).map(([name, content]) => ({ name, content })),
    ],
    sending,
  );

/** Sends an operation with files: https://github.com/jaydenseric/graphql-multipart-request-spec. */
export async function postOperation(
  kit: Kit,
  operations: unknown,
  map: unknown,
  files: readonly Part[] = [],
  sending: Sending = {},
): Promise<GraphQLAnswer> {
  const parts = [
    { name: 'operations', content: JSON.stringify(operations) },
    { name: 'map', content: JSON.stringify(map) },
    ...files,
  ];
  const { status, headers, body } = await postForm(kit, '/graphql', parts, sending);
  return { status, headers, data: body?.data ?? null, errors: body?.errors ?? [] };
}

export const uploadFiles = `mutation ($input: UploadFilesInput!) {
  uploadFiles(input: $input) {
    files { databaseId name mediaType kind size status error }
    rejected { name reason }
  }
}`;

/** Uploads through GraphQL. */
export const uploadGraphql = (
  kit: Kit,
  files: Record<string, string | Uint8Array>,
  { projectId, ...sending }: Sending & { projectId?: number } = {},
): Promise<GraphQLAnswer> => {
  const entries = Object.entries(files);
  const input = { files: entries.map(() => null), ...(projectId !== undefined && { projectId }) };
  return postOperation(
    kit,
    { query: uploadFiles, variables: { input } },
    Object.fromEntries(entries.map((_, at) => [String(at), [`variables.input.files.${at}`]])),
    entries.map(([fileName, content], at) => ({ name: String(at), fileName, content })),
    sending,
  );
};

/** Returns the IDs of the stored blobs. */
export function blobsOf(kit: Kit): string[] {
  try {
    const folder = join(kit.booted.foundation.settings.dataDir, 'files');
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    // The folder is created with the first file.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Erases all expired data and waits for the end of the work. */
export async function sweep(kit: Kit): Promise<void> {
  kit.booted.services.files.sweep();
  await kit.booted.background.settled();
}

/** One pixel. */
export const png = Uint8Array.from(
  Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  ),
);

import { imageTypeOf } from '../../ai/images.ts';
import { badInput } from '../../errors.ts';
import { FetchError, guardedFetch } from '../../web/guarded-fetch.ts';
import type { Message } from './messages.ts';

/** Maximum number of images that one request fetches. */
const maxImages = 10;
/** Maximum size of a fetched image in bytes. */
const maxImageBytes = 5 * 1024 * 1024;
/** Time limit for all images of a request, in milliseconds. */
const imagesTimeoutMs = 20_000;

type Path = (string | number)[];

interface FetchOptions {
  allowedHosts: readonly string[];
  signal: AbortSignal;
}

const isWebAddress = (url: string): boolean => /^https?:/i.test(url);

/** Returns the image at a URL as a `data:` URL. Throws BAD_USER_INPUT. */
async function fetchImage(url: string, path: Path, { allowedHosts, signal }: FetchOptions): Promise<string> {
  const { bytes } = await guardedFetch(url, {
    headers: { accept: 'image/png,image/jpeg,image/gif,image/webp' },
    maxBytes: maxImageBytes,
    timeoutMs: imagesTimeoutMs,
    allowedHosts,
    signal,
  }).catch((error: unknown) => {
    throw error instanceof FetchError ? badInput(path, `The image ${error.message}.`) : error;
  });
  const isGif = /^GIF8[79]a/.test(Buffer.from(bytes.subarray(0, 6)).toString('latin1'));
  const mediaType = imageTypeOf(bytes) ?? (isGif ? 'image/gif' : null);
  if (mediaType === null) throw badInput(path, 'The URL does not return a PNG, JPEG, GIF or WebP image.');
  return `data:${mediaType};base64,${Buffer.from(bytes).toString('base64')}`;
}

/**
 * Returns the messages with the images at http and https URLs as `data:` URLs, fetched with {@link guardedFetch}: at
 * most 10 different URLs, each of at most 5 MB, within 20 seconds. Throws BAD_USER_INPUT for an image that cannot be
 * fetched, and for more URLs.
 */
export async function withFetchedImages(messages: readonly Message[], options: FetchOptions): Promise<Message[]> {
  const paths = new Map<string, Path>();
  for (const [index, { role, content }] of messages.entries())
    for (const [part, { imageUrl }] of role === 'USER' ? (content ?? []).entries() : [])
      if (imageUrl != null && isWebAddress(imageUrl) && !paths.has(imageUrl)) {
        const path = ['input', 'messages', index, 'content', part, 'imageUrl'];
        if (paths.size === maxImages) throw badInput(path, `is one of more than ${maxImages} images to fetch`);
        paths.set(imageUrl, path);
      }
  if (paths.size === 0) return [...messages];
  const stopped = new AbortController();
  const signal = AbortSignal.any([options.signal, stopped.signal]);
  const fetched = await Promise.all(
    [...paths].map(async ([url, path]) => [url, await fetchImage(url, path, { ...options, signal })] as const),
  ).finally(() => stopped.abort());
  const images = new Map(fetched);
  return messages.map((message) => ({
    ...message,
    content: message.content?.map((part) => ({ ...part, imageUrl: images.get(part.imageUrl ?? '') ?? part.imageUrl })),
  }));
}

import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import { slugOf } from '../../slug.ts';
import { cutText } from '../../unicode.ts';
import { FetchError, type Fetched, guardedFetch } from '../../web/guarded-fetch.ts';
import { acceptedTypes, extensionOf, type Format } from '../files/extract/kinds.ts';
import type { NewDocument } from './add-documents.ts';
import type { IntakeDeps } from './intake-deps.ts';
import { AddLink, type AddLinkInput } from './intake-input.ts';
import { type Added, addTexts, fileName, localDate, readText } from './intake-texts.ts';

/**
 * Returns the file name of a fetched page: `page.html` for HTML, otherwise the name in the URL. Adds the extension of
 * the media type when that name has no known extension.
 */
function fileOf({ url, mediaType }: Fetched): { name: string; as?: Format } {
  if (mediaType === 'text/html' || mediaType === 'application/xhtml+xml') return { name: 'page.html', as: 'article' };
  const name = fileName(decodeURIComponentSafely(url.pathname)) || 'page';
  const extension = acceptedTypes[mediaType]?.[0];
  const known = Object.values(acceptedTypes).flat().includes(extensionOf(name));
  return { name: extension && !known ? `${name}${extension}` : name };
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const linkAddition = ({ knowledge, files, settings }: IntakeDeps) => ({
  /**
   * Adds the current text of a web page or a file on the web: its main content, without navigation. Fetches the page
   * with {@link guardedFetch}; `headers` are sent to its own origin only and are not stored. Stops when the signal
   * aborts. Throws BAD_USER_INPUT for a page that cannot be fetched or read.
   */
  async addLink(principal: Principal, input: AddLinkInput, signal: AbortSignal): Promise<Added[]> {
    const { url, headers, metadata: of, ...where } = parse(AddLink, input);
    const page = await guardedFetch(url, {
      headers: Object.fromEntries((headers ?? []).map(({ name, value }) => [name, value])),
      maxBytes: settings.maxFileSize,
      allowedHosts: settings.linkAllowedHosts,
      signal,
    }).catch((error: unknown) => {
      throw error instanceof FetchError ? badInput(['input', 'url'], `The page ${error.message}.`) : error;
    });
    const { name, as } = fileOf(page);
    const file = { name, bytes: page.bytes, charset: page.charset, ...(as && { as }) };
    const { text } = await readText(files, principal, ['input', 'url'], file);
    const { hostname, pathname } = new URL(url);
    const place = `${hostname}${pathname.replace(/\/+$/, '')}`;
    const heading = as === 'article' ? /^# (.+)$/m.exec(text)?.[1] : undefined;
    const document: NewDocument = {
      title: of.title ?? cutText(heading ?? place, 500),
      text,
      link: url,
      source: 'link',
      documentUpdatedAt: of.published ?? null,
      name: place.replaceAll('/', '-'),
      prefix: 'url-',
      metadata: {
        url: of.url ?? `file://${slugOf(place.replaceAll('/', '-'))}.html`,
        docAuthor: of.docAuthor ?? 'no author found',
        description: of.description ?? 'No description found.',
        docSource: of.docSource ?? 'URL link uploaded by the user.',
        chunkSource: of.chunkSource ?? `link://${url}`,
        published: localDate(of.published),
      },
    };
    return addTexts(knowledge, principal, [document], where);
  },
});

import { z } from 'zod';
import { plainText } from '../../zod-types.ts';

/** Returns the origin of a text as browsers send it, or null. The scheme defaults to https. */
function originOf(text: string): string | null {
  const written = /^https?:\/\//i.test(text) ? text : `https://${text}`;
  if (!URL.canParse(written)) return null;
  const { origin, host, pathname, search, hash, username, password } = new URL(written);
  const bare = pathname === '/' && search === '' && hash === '' && username === '' && password === '';
  return bare && /^[a-z0-9.:[\]-]+$/.test(host) ? origin : null;
}

/** Maximum number of origins of one widget. */
const maxOrigins = 100;

/** The origins whose pages can show a widget: `https://example.com`, or `example.com` for the same. */
export const origins = z
  .array(plainText(255).trim())
  .max(maxOrigins)
  .transform((texts, context) =>
    texts.map((text, index) => {
      const origin = originOf(text);
      if (origin !== null) return origin;
      context.addIssue({ code: 'custom', path: [index], message: 'must contain origins such as https://example.com' });
      return z.NEVER;
    }),
  )
  .transform((found) => [...new Set(found)]);

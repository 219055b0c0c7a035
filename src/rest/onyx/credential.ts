import { bearerOf, type CredentialLocation, filledHeader, unreadable } from '../credential.ts';

/**
 * The session cookie, then `X-Onyx-Authorization`, then `Authorization`, each with or without the scheme for `on_…` keys
 * (contract 1.1). A personal access token without a scheme does not work.
 */
export const onyxCredential: CredentialLocation = {
  read(headers) {
    const header = filledHeader(headers.get('x-onyx-authorization') || headers.get('authorization'));
    if (header === null) return null;
    const bare = header.trim();
    return bearerOf(header) ?? (bare.startsWith('on_') ? bare : unreadable(bare));
  },
  cookie: 'first',
};

import { type CredentialLocation, filledHeader, unreadable } from '../credential.ts';

/** The text after any scheme word and one space in `Authorization` (contract 2.1). Cookies do not count. */
export const anythingllmCredential: CredentialLocation = {
  read(headers) {
    const header = filledHeader(headers.get('authorization'));
    return header && (header.split(' ')[1] || unreadable(header));
  },
  cookie: 'never',
};

import type { ImportCommand } from '../command.ts';
import { ImportError } from '../operator.ts';
import { parseBase } from './client.ts';
import { importOnyx } from './import.ts';

const keyOf = ([, key]: string[]): string | undefined => key ?? process.env.ONYX_API_KEY;

/**
 * Imports what a key can read from a running Onyx server. The key can be passed in ONYX_API_KEY, since npm and `ps`
 * display arguments.
 */
export const onyxImport: ImportCommand = {
  usage: 'ONYX_API_KEY=<key> npm run import:onyx -- <base URL> [<key>] [--as <address>] [--dry-run]',
  arguments: { least: 1, most: 2 },
  prepare(given) {
    const [address = ''] = given;
    const key = keyOf(given);
    if (!key) throw new ImportError('the key is missing: set ONYX_API_KEY');
    if (!/^[\x21-\x7e]+$/.test(key)) throw new ImportError('the key contains invalid characters');
    parseBase(address);
    return (foundation) => importOnyx(foundation, address, key);
  },
  redact(text, given) {
    const key = keyOf(given);
    return key ? text.replaceAll(key, '[key]') : text;
  },
};

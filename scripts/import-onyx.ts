// Imports what a key can read from a running Onyx server into the database of this server's settings.
//
// usage: ONYX_API_KEY=<key> npm run import:onyx -- <base URL> [<key>] [--as <address>] [--dry-run]
import { runImport } from '../src/modules/imports/command.ts';
import { onyxImport } from '../src/modules/imports/onyx/command.ts';

process.exit(await runImport(onyxImport, process.argv.slice(2)));

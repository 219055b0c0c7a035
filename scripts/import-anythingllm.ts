// Imports an installation of AnythingLLM into the database of this server's settings.
//
// usage: npm run import:anythingllm -- <storage folder or export file> [--as <address>] [--dry-run]
import { anythingllmImport } from '../src/modules/imports/anythingllm/command.ts';
import { runImport } from '../src/modules/imports/command.ts';

process.exit(await runImport(anythingllmImport, process.argv.slice(2)));

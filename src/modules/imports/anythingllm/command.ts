import { existsSync, statSync } from 'node:fs';
import type { ImportCommand } from '../command.ts';
import { ImportError } from '../operator.ts';
import { importExport } from './export.ts';
import { importStorage } from './storage.ts';

/** Imports AnythingLLM from its storage folder or from an export of its chats. */
export const anythingllmImport: ImportCommand = {
  usage: 'npm run import:anythingllm -- <storage folder or export file> [--as <address>] [--dry-run]',
  arguments: { least: 1, most: 1 },
  prepare([path = '']) {
    if (!existsSync(path)) throw new ImportError(`${path} does not exist`);
    const read = statSync(path).isDirectory() ? importStorage : importExport;
    return (foundation) => read(foundation, path);
  },
};

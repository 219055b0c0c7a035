// `npm start`: the server runs in this process, so that it receives SIGTERM and Node starts only once.
import { prepare } from './prepare.mjs';

await prepare({ build: true, dev: false });
process.setSourceMapsEnabled(true);
await import('../dist/main.js');

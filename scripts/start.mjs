// `npm start`: the server runs in this very process, so that a SIGTERM reaches it and Node starts only once.
import { prepare } from './prepare.mjs';

await prepare({ build: true });
process.setSourceMapsEnabled(true);
await import('../dist/main.js');

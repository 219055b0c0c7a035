// Prints a well-formed admin key for BOOTSTRAP_ADMIN_KEY without storing it.
import { newSecret, prefixes } from '../src/modules/tokens/secret.ts';

console.log(newSecret(prefixes.API_KEY));

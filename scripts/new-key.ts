// Prints a well-formed admin key without storing it, for BOOTSTRAP_ADMIN_KEY.
import { newSecret, prefixes } from '../src/modules/tokens/secret.ts';

console.log(newSecret(prefixes.API_KEY));

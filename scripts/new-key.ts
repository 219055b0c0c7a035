// Prints a well-formed admin key for BOOTSTRAP_ADMIN_KEY without storing it.
import { newSecret } from '../src/authz/secret.ts';

console.log(newSecret('API_KEY'));

import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import BudgetPlugin from './budget.ts';
import CurrentSecretPlugin from './current-secret.ts';
import DirectReadPlugin from './direct-read.ts';
import ListSizePlugin from './list-size.ts';
import NullAsAbsentPlugin from './null-as-absent.ts';
import PermissionsPlugin from './permissions.ts';

/**
 * The plugins of the schema builder, in order from the outermost wrapper: the budget stops an operation before
 * authorization runs, and authorization wraps the resolvers of the other plugins. A field that a plugin wraps is not read
 * directly.
 */
export const pothosPlugins = [
  BudgetPlugin,
  DirectReadPlugin,
  ScopeAuthPlugin,
  PermissionsPlugin,
  CurrentSecretPlugin,
  ListSizePlugin,
  NullAsAbsentPlugin,
  RelayPlugin,
  PrismaPlugin,
] as const;

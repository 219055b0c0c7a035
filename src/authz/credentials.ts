import type { TokenKind } from '../generated/prisma/enums.ts';

/** How the secrets of a kind look. */
export interface SecretFormat {
  prefix: string;
  /** Number of random base62 characters between prefix and checksum. */
  randomLength: number;
  /** Other lengths that earlier versions created and that still work. */
  olderLengths?: readonly number[];
  /** Number of characters after the prefix that lists display. */
  shownLength: number;
}

interface CredentialRule {
  /** Null: no client presents this credential. */
  secret: SecretFormat | null;
  /** The user that a request with this credential acts as. */
  actsAs: 'service account' | 'owner';
  /** The object that the credential cannot leave, or null. */
  confinedTo: 'project' | 'widget' | null;
  description: string;
}

/**
 * The kinds of credentials. Prefixes, the GraphQL enum, the conditions of lists and the SQL of authentication are derived
 * from this table: to add a kind, add a row and the value of `TokenKind` in prisma/schema.prisma.
 */
const table = {
  API_KEY: {
    secret: { prefix: 'on_', randomLength: 30, shownLength: 4 },
    actsAs: 'service account',
    confinedTo: null,
    description: 'An API key with the prefix `on_`, which acts as a service account of its own.',
  },
  ANYTHINGLLM: {
    // AnythingLLM's command line requires keys of 31 characters.
    secret: { prefix: 'sk-', randomLength: 22, olderLengths: [30], shownLength: 4 },
    actsAs: 'service account',
    confinedTo: null,
    description: 'An API key with the prefix `sk-`, as AnythingLLM clients expect it.',
  },
  PROJECT: {
    secret: { prefix: 'proj_', randomLength: 30, shownLength: 4 },
    actsAs: 'service account',
    confinedTo: 'project',
    description: 'A project token with the prefix `proj_`, whose service account is confined to one project.',
  },
  PERSONAL: {
    secret: { prefix: 'onyx_pat_', randomLength: 30, shownLength: 3 },
    actsAs: 'owner',
    confinedTo: null,
    description: 'A personal access token with the prefix `onyx_pat_`, which acts as its owner.',
  },
  EMBED: {
    secret: null,
    actsAs: 'service account',
    confinedTo: 'widget',
    description: 'The credential that the visitors of a chat widget act under. It has no secret.',
  },
  SESSION: {
    secret: { prefix: 'ses_', randomLength: 30, shownLength: 4 },
    actsAs: 'owner',
    confinedTo: null,
    description: 'A login session with the prefix `ses_`.',
  },
} as const satisfies Record<TokenKind, CredentialRule>;

export type CredentialKind = keyof typeof table;
type Rules = typeof table;

/** The kinds whose rules extend `Shape`. */
type KindsWith<Shape> = {
  [Kind in CredentialKind]: Rules[Kind] extends Shape ? Kind : never;
}[CredentialKind];

export const credentialRules: Readonly<Record<CredentialKind, CredentialRule>> = table;
export const credentialKinds = Object.keys(table) as CredentialKind[];

/** Returns the kinds that a condition selects, in the order of the table. */
const kindsWhere = <Kind extends CredentialKind>(condition: (rule: CredentialRule) => boolean): Kind[] =>
  credentialKinds.filter((kind) => condition(credentialRules[kind])) as Kind[];

type WithSecret = KindsWith<{ secret: SecretFormat }>;

/** API keys of the organization: they act as a service account and are confined to nothing. */
export type KeyKind = KindsWith<{ actsAs: 'service account'; confinedTo: null }>;
export const keyKinds = kindsWhere<KeyKind>((rule) => rule.actsAs === 'service account' && rule.confinedTo === null);

/** The kinds with a secret that act as a service account. Each such user has exactly one of them. */
export type ServiceAccountKind = Exclude<WithSecret, PersonalKind>;
export const serviceAccountKinds = kindsWhere<ServiceAccountKind>(
  (rule) => rule.actsAs === 'service account' && rule.secret !== null,
);

/** The kinds that act as their owner. */
export type PersonalKind = KindsWith<{ actsAs: 'owner' }>;
export const personalKinds = kindsWhere<PersonalKind>((rule) => rule.actsAs === 'owner');

/** The kinds whose service accounts are not users of the organization: they are confined to one object. */
export const confinedKinds = kindsWhere((rule) => rule.confinedTo !== null);

/** The formats of the secrets of all kinds. */
export const secretFormats = Object.fromEntries(
  credentialKinds.flatMap((kind) => {
    const { secret } = credentialRules[kind];
    return secret ? [[kind, secret]] : [];
  }),
) as Record<WithSecret, SecretFormat>;

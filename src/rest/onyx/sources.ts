import { z } from '@hono/zod-openapi';

/** The sources that clients know (`DocumentSource` of the Onyx contract, annex B). */
const names = [
  'ingestion_api',
  'slack',
  'web',
  'google_drive',
  'gmail',
  'requesttracker',
  'github',
  'gitbook',
  'gitlab',
  'guru',
  'bookstack',
  'outline',
  'confluence',
  'jira',
  'slab',
  'productboard',
  'file',
  'coda',
  'notion',
  'zulip',
  'linear',
  'hubspot',
  'document360',
  'gong',
  'google_sites',
  'zendesk',
  'loopio',
  'dropbox',
  'sharepoint',
  'teams',
  'salesforce',
  'discourse',
  'axero',
  'clickup',
  'mediawiki',
  'wikipedia',
  'asana',
  's3',
  'r2',
  'google_cloud_storage',
  'oci_storage',
  'xenforo',
  'not_applicable',
  'discord',
  'freshdesk',
  'fireflies',
  'egnyte',
  'airtable',
  'highspot',
  'drupal_wiki',
  'imap',
  'bitbucket',
  'testrail',
  'mock_connector',
  'user_file',
] as const;

export const DocumentSource = z
  .enum(names, 'is not a known source; ingestion_api stands for documents without one')
  .openapi('DocumentSource');
type Name = z.infer<typeof DocumentSource>;

const isName = (source: string): source is Name => (names as readonly string[]).includes(source);

/** Sources of this server that Onyx clients do not know, with names that they know. */
const translated = new Map<string, Name>([
  ['upload', 'file'],
  ['raw_text', 'file'],
  ['anythingllm', 'file'],
  ['link', 'web'],
]);

/** Returns the source of a document for clients: any other name that `ingestDocument` received is `ingestion_api`. */
export const fromSource = (source: string): Name =>
  isName(source) ? source : (translated.get(source) ?? 'ingestion_api');

/** Returns the stored sources for those that a client names. */
export const toSources = (wanted: readonly Name[]): string[] => [
  ...wanted,
  ...[...translated].filter(([, name]) => wanted.includes(name)).map(([source]) => source),
];

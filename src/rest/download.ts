import type { z } from '@hono/zod-openapi';
import type { Permission } from '../authz/permissions.ts';
import type { Principal } from '../authz/principal.ts';
import type { Services } from '../services.ts';

/** What is written, and what it is called. */
export interface DownloadedFile {
  fileName: string;
  mediaType: string;
  text: AsyncGenerator<string, void, undefined>;
}

/**
 * A file that is written from the database as its reader takes it, however long it is: no row, since it has no GraphQL
 * document.
 */
export interface Download<Query = unknown> {
  /** As in OpenAPI, without `/api`. */
  path: string;
  tag: string;
  summary: string;
  /** The root field that reads the same. */
  twin: string;
  permission: Permission;
  query: z.ZodType<Query>;
  /** The media types that it can have, each with the shape of what is in it. */
  content: Record<string, z.ZodType>;
  /** Throws before anything is written. */
  open: (services: Services, principal: Principal, query: Query) => Promise<DownloadedFile>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds downloads of every shape; each was checked where it was written.
export type AnyDownload = Download<any>;

/** Checks a download's parts against each other. */
export const download = <Query>(spec: Download<Query>): AnyDownload => spec;

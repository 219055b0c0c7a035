import type { z } from '@hono/zod-openapi';
import type { Permission } from '../authz/permissions.ts';
import type { Principal } from '../authz/principal.ts';
import type { Services } from '../services.ts';

/** The content of a download and its file name. */
interface DownloadedFile {
  fileName: string;
  mediaType: string;
  text: AsyncGenerator<string, void, undefined>;
}

/**
 * A file that is generated from the database while it is read, with any length. It is not an endpoint, since it has no
 * GraphQL document.
 */
export interface Download<Query = unknown> {
  /** As in OpenAPI, without `/api`. */
  path: string;
  tag: string;
  summary: string;
  /** The GraphQL root field that returns the same data. */
  twin: string;
  permission: Permission;
  query: z.ZodType<Query>;
  /** The media types, each with the schema of its content. */
  content: Record<string, z.ZodType>;
  /** Throws before anything is written. */
  open: (services: Services, principal: Principal, query: Query) => Promise<DownloadedFile>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds downloads of every shape; each was checked where it was written.
export type AnyDownload = Download<any>;

/** Checks the types of a download's parts. */
export const download = <Query>(spec: Download<Query>): AnyDownload => spec;

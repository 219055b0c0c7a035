import { createWebSockets, type WebSocketOptions, type WebSockets } from '../graphql/websocket.ts';
import { maxPage } from '../paging.ts';
import { bearerCredential } from '../rest/credential.ts';
import type { Authentication } from './authentication.ts';
import type { ContextFactory } from './request-context.ts';
import { refusedQuery } from './url-secrets.ts';

export type { WebSockets };

interface SocketDeps
  extends Pick<WebSocketOptions, 'yoga' | 'services' | 'log' | 'metrics' | 'hostRefusal'>,
    Pick<Authentication, 'clientBehind' | 'identify' | 'admit'>,
    Pick<ContextFactory, 'contextWith'> {}

/** Creates the GraphQL over WebSocket endpoint with the checks of HTTP requests. */
export const createSockets = ({ clientBehind, identify, admit, contextWith, ...deps }: SocketDeps): WebSockets =>
  createWebSockets({
    ...deps,
    clientOf: clientBehind,
    identify: (headers, client) => identify(headers, client, bearerCredential),
    authenticate: (headers, client) => admit(headers, client, bearerCredential),
    contextOf: (request) => contextWith({ ...request, pageLimit: maxPage }),
    refusedQuery,
  });

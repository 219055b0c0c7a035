import { builder } from '../../graphql/builder.ts';
import type { TurnFailure, TurnFailureCode } from './turn-failure.ts';

const codes: Record<TurnFailureCode, { description: string }> = {
  CONTEXT_TOO_LONG: { description: 'The request is longer than the context window of the model. Not retryable.' },
  CONTENT_POLICY: {
    description: 'The model provider rejected the request because of its content policy. Not retryable.',
  },
  REQUEST_REJECTED: {
    description:
      'The model provider rejected the request, for example a parameter that the model does not support. Not retryable.',
  },
  QUOTA_EXHAUSTED: { description: 'The quota of this server at the model provider is used up. Not retryable.' },
  PROVIDER_MISCONFIGURED: {
    description:
      'The model provider rejected the credentials or the model that this server is configured with. Not retryable.',
  },
  RATE_LIMITED: { description: 'The model provider limits requests; `retryAfter` says for how long when it is known.' },
  UPSTREAM_FAILED: { description: 'The model provider failed, cannot be reached, or its connection broke.' },
  TIMEOUT: { description: 'The model stopped sending, or the answer took longer than the server allows.' },
  TOOL_CALL_FAILED: { description: 'The model called an action that it does not have.' },
  SERVER_SHUTDOWN: { description: 'The server stopped before the answer was complete.' },
  UNAVAILABLE: { description: 'The database of the server was not available during the turn.' },
  INTERNAL: { description: 'An internal error of this server.' },
};

const onlyForAuthor =
  'Null unless the provider rejected the request, and for other readers than the author of the message.';

const TurnFailureCodeType = builder.enumType('TurnFailureCode', {
  description: 'The reason why a turn failed.',
  values: codes,
});

/** The details of a failed turn, used both for its last event and for its complete answer. */
export const TurnFailureDetails = builder.interfaceRef<TurnFailure>('TurnFailureDetails').implement({
  description: 'The reason why a turn failed, and what a client can do about it.',
  fields: (t) => ({
    code: t.expose('code', { type: TurnFailureCodeType, description: 'The reason why the turn failed.' }),
    message: t.exposeString('message', { description: 'The reason in one sentence, for display.' }),
    retryable: t.exposeBoolean('retryable', { description: 'True when the same message may succeed later.' }),
    retryAfter: t.exposeInt('retryAfter', {
      nullable: true,
      description: 'Seconds to wait before the next attempt; null when the model provider names no time.',
    }),
    providerCode: t.string({
      nullable: true,
      description: `The model provider’s own error code, such as \`context_length_exceeded\`. ${onlyForAuthor}`,
      resolve: ({ provider }) => provider?.code ?? null,
    }),
    providerMessage: t.string({
      nullable: true,
      description: `What the model provider says about a request that it rejected. ${onlyForAuthor}`,
      resolve: ({ provider }) => provider?.message ?? null,
    }),
  }),
});

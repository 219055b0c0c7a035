import type { GraphQLError } from 'graphql';
import { type Plugin, processRegularResult } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import { requestError } from '../errors.ts';

const streams = ['text/event-stream'];
const responses = ['application/graphql-response+json', 'application/json', 'text/event-stream', 'multipart/mixed'];

/** Returns whether an `Accept` header admits one of the media types. A request without the header admits all. */
function admits(header: string | null, types: readonly string[]): boolean {
  const ranges = (header || '*/*').toLowerCase().split(',');
  return ranges.some((each) => {
    const [range = '', ...parameters] = each.split(';').map((part) => part.trim());
    const charset = parameters.find((parameter) => parameter.startsWith('charset='));
    if (charset !== undefined && charset !== 'charset=utf-8') return false;
    const [type, subtype] = range.split('/');
    return types.some((name) => {
      const [ofType, ofSubtype] = name.split('/');
      return (type === '*' || type === ofType) && (subtype === '*' || subtype === ofSubtype);
    });
  });
}

/** Returns the error of an operation whose response has a media type that its client does not accept, or null. */
function unacceptable(context: unknown, types: readonly string[], advice: string): GraphQLError | null {
  // Operations over WebSocket have a request without headers.
  const { request } = context as Context & { request: Request };
  return admits(request.headers.get('accept'), types) ? null : requestError(406, advice);
}

/**
 * Rejects an operation before it runs when the `Accept` header of its request admits no media type of its response. The
 * body states the header to send, in JSON, which every GraphQL client can read.
 */
export function useAcceptCheck(): Plugin<Context> {
  return {
    onExecute({ args, setResultAndStopExecution }) {
      const advice = `The response is JSON. Send the header \`Accept: application/json\`.`;
      const error = unacceptable(args.contextValue, responses, advice);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
    onSubscribe({ args, setResultAndStopExecution }) {
      const advice = `A subscription is sent as server-sent events. Send the header \`Accept: text/event-stream\`, or use WebSocket.`;
      const error = unacceptable(args.contextValue, streams, advice);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
    onResultProcess({ resultProcessor, setResultProcessor }) {
      if (!resultProcessor) setResultProcessor(processRegularResult, 'application/json');
    },
  };
}

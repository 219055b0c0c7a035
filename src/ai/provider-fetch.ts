import { injectTrace, isTracing } from '../telemetry/tracing.ts';

/** Adds the trace to a request, so that the provider can continue it. */
function withTrace(init: RequestInit | undefined): RequestInit | undefined {
  if (!isTracing()) return init;
  const headers = new Headers(init?.headers);
  injectTrace(headers);
  return { ...init, headers };
}

/**
 * Sends a request to a model provider. Removes the code of a network error that breaks off a response: the AI SDK would
 * otherwise repeat the request, which would be answered and billed twice.
 */
export const providerFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, withTrace(init));
  if (!response.body) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          controller.error(init?.signal?.aborted ? error : new Error('The connection was lost during the reply.'));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
};

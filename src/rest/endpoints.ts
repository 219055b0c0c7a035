import { anythingllmEndpoints } from './anythingllm/endpoints.ts';
import type { AnyEndpoint } from './endpoint.ts';
import { oauthEndpoints } from './oauth.ts';
import { onyxEndpoints } from './onyx/endpoints.ts';

/** All endpoints in the order of the documentation. A fixed path comes before a path with a parameter. */
export const endpoints: readonly AnyEndpoint[] = [...onyxEndpoints, ...anythingllmEndpoints, ...oauthEndpoints];

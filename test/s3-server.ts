import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** The credential that the server accepts. */
export const s3Credential = {
  id: 'KEY-OF-TESTS',
  secret: 's3-secret-that-is-never-logged/+0',
  region: 'eu-test-1',
};

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/** A request as its signature covers it. */
export interface SignedRequest {
  method: string;
  /** The path and the query as they were sent. */
  url: string;
  headers: IncomingMessage['headers'];
}

/** Returns the signature (AWS Signature Version 4) that a request must have. */
export function signatureOf({ method, url, headers }: SignedRequest, secret: string): string {
  const { scope, names } = authorizationOf(headers);
  const [path = '', query = ''] = url.split('?');
  const canonical = [
    method,
    path,
    query.split('&').sort().join('&'),
    ...names.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const [date = '', region = '', service = '', end = ''] = scope;
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope.join('/'), sha256(canonical)].join('\n');
  const key = [region, service, end].reduce<Buffer>((key, part) => hmac(key, part), hmac(`AWS4${secret}`, date));
  return hmac(key, text).toString('hex');
}

/** Returns the parts of an `Authorization` header. */
function authorizationOf(headers: IncomingMessage['headers']) {
  const found = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)$/.exec(
    headers.authorization ?? '',
  );
  const [, id = '', scope = '', names = '', signature = ''] = found ?? [];
  return { id, scope: scope.split('/'), names: names.split(';'), signature };
}

/** Returns the code with which S3 denies a request, or null. */
function denialOf(request: SignedRequest, body: Uint8Array): string | null {
  const { id, scope, names, signature } = authorizationOf(request.headers);
  const date = String(request.headers['x-amz-date']);
  if (id === '') return 'AccessDenied';
  if (id !== s3Credential.id) return 'InvalidAccessKeyId';
  if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => names.includes(name))) return 'AccessDenied';
  if (scope.join('/') !== `${date.slice(0, 8)}/${s3Credential.region}/s3/aws4_request`)
    return 'AuthorizationHeaderMalformed';
  if (signature !== signatureOf(request, s3Credential.secret)) return 'SignatureDoesNotMatch';
  return sha256(body) === request.headers['x-amz-content-sha256'] ? null : 'XAmzContentSHA256Mismatch';
}

/** How the server answers a request instead of serving it. */
type S3Fault =
  | { status: number; code: string }
  /** Serves the request and closes the connection without a response. */
  | 'lose-response'
  /** Never responds. */
  | 'hang';

/** An S3 server with one bucket in memory. */
export interface S3Server {
  endpoint: string;
  bucket: string;
  /** The settings of a Latchkey server that uses it. */
  environment: Record<string, string>;
  objects: Map<string, Buffer>;
  /** The requests in order: `PUT key`. */
  requests: string[];
  /** The answer to a request, such as that of an outage; serves it when undefined. */
  fault?: ((method: string) => S3Fault | undefined) | undefined;
  close(): Promise<void>;
}

/** Starts an S3 server that serves objects by path and verifies the signature and the hash of each request. */
export async function startS3Server(bucket = 'latchkey-files'): Promise<S3Server> {
  const server = createServer(async (request, response) => {
    const { method = '', url = '', headers } = request;
    const body = await buffer(request);
    const [, name, ...rest] = url.split('/');
    const key = rest.join('/');
    const answer = (status: number, code: string) =>
      response
        .writeHead(status, { 'content-type': 'application/xml' })
        .end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    s3.requests.push(`${method} ${key}`);
    const fault = s3.fault?.(method);
    if (fault === 'hang') return;
    if (typeof fault === 'object') return answer(fault.status, fault.code);
    const denial = denialOf({ method, url, headers }, body);
    if (denial) return answer(denial === 'XAmzContentSHA256Mismatch' ? 400 : 403, denial);
    if (name !== bucket) return answer(404, 'NoSuchBucket');
    const found = s3.objects.get(key);
    if (method === 'PUT') s3.objects.set(key, body);
    else if (method === 'DELETE') s3.objects.delete(key);
    if (fault === 'lose-response') return request.socket.destroy();
    if (method === 'PUT') return response.writeHead(200).end();
    if (method === 'DELETE') return response.writeHead(204).end();
    return found ? response.writeHead(200).end(found) : answer(404, 'NoSuchKey');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const s3: S3Server = {
    endpoint,
    bucket,
    environment: {
      S3_BUCKET: bucket,
      S3_ENDPOINT: endpoint,
      S3_REGION: s3Credential.region,
      S3_ACCESS_KEY_ID: s3Credential.id,
      S3_SECRET_ACCESS_KEY: s3Credential.secret,
    },
    objects: new Map(),
    requests: [],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return s3;
}

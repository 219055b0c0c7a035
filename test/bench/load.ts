import { Agent, request } from 'node:http';

/** A request of a scenario. */
export interface Call {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
}

export interface Response {
  status: number;
  text: string;
  milliseconds: number;
}

/** Sends requests of one client to a server. */
export class Client {
  private readonly agent: Agent;

  constructor(
    private readonly port: number,
    private readonly key: string,
    private readonly connections = 10,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  send({ method, path, body }: Call): Promise<Response> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const startedAt = performance.now();
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.port,
          agent: this.agent,
          method,
          path,
          headers: {
            authorization: `Bearer ${this.key}`,
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        },
        (response) => {
          let received = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            received += chunk;
          });
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: received,
              milliseconds: performance.now() - startedAt,
            }),
          );
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }

  /** Sends a number of requests over all connections. Returns their durations in milliseconds, in ascending order. */
  async burst(count: number, next: () => Call, accepts: (response: Response) => boolean): Promise<number[]> {
    const durations: number[] = [];
    let left = count;
    const work = async () => {
      while (left-- > 0) {
        const call = next();
        const response = await this.send(call);
        if (!accepts(response))
          throw new Error(`${call.method} ${call.path}: ${response.status} ${response.text.slice(0, 300)}`);
        durations.push(response.milliseconds);
      }
    };
    await Promise.all(Array.from({ length: this.connections }, work));
    return durations.sort((a, b) => a - b);
  }

  close(): void {
    this.agent.destroy();
  }
}

/** Returns the value below which a share of sorted values lies. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

export const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );

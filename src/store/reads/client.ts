import { Prisma, type PrismaClient } from '../../generated/prisma/client.ts';
import type { RunRead } from './batches.ts';
import { readMethods } from './compile.ts';
import { models } from './models.ts';
import { notRead, Reader } from './reader.ts';

/** The methods of a client that are not those of a model. */
const clientMethods = [
  ...(['$transaction', '$queryRaw', '$executeRaw', '$queryRawUnsafe', '$executeRawUnsafe'] as const),
  ...(['$connect', '$disconnect'] as const),
];

type Method = (args?: object) => Promise<unknown>;
type Methods = Record<string, Method>;

/**
 * Returns a client with the same methods, whose reads run as one statement each when they can be compiled and are
 * performed by Prisma otherwise. Reads in transactions are Prisma's own. A read starts when it is called and cannot be an
 * element of a `$transaction` array.
 */
export function withCompiledReads(prisma: PrismaClient, run: RunRead): PrismaClient {
  const reader = new Reader(run);
  const client: Record<string, unknown> = {};
  for (const name of clientMethods) client[name] = (prisma[name] as (...args: unknown[]) => unknown).bind(prisma);
  for (const model of Object.values(Prisma.ModelName)) {
    const property = model.charAt(0).toLowerCase() + model.slice(1);
    const original = prisma[property as keyof PrismaClient] as unknown as Methods;
    client[property] = models.has(model) ? modelClient(reader, model, original) : original;
  }
  return client as unknown as PrismaClient;
}

/** Returns the methods of a model with those that read replaced. */
function modelClient(reader: Reader, model: string, original: Methods): Methods {
  const methods: Methods = {};
  for (const name of Object.keys(original)) {
    const method = original[name];
    if (typeof method === 'function') methods[name] = method;
  }
  for (const method of readMethods) {
    const fallback = original[method] as Method;
    methods[method] = async (args = {}) => {
      const result = await reader.read(model, method, args);
      if (result === notRead) return fallback(args);
      if (result === undefined) throw notFound(model);
      return result;
    };
  }
  return methods;
}

const notFoundMessage =
  'An operation failed because it depends on one or more records that were required but not found. No record was found for a query.';

/** The error that Prisma throws when a required row does not exist. */
const notFound = (modelName: string) =>
  new Prisma.PrismaClientKnownRequestError(notFoundMessage, {
    code: 'P2025',
    clientVersion: Prisma.prismaVersion.client,
    meta: { modelName, operation: 'a query' },
  });

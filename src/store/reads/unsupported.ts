/** The arguments of a read cannot be compiled, or a value cannot be bound or read: Prisma performs the read instead. */
export class UnsupportedReadError extends Error {
  override readonly name = 'UnsupportedReadError';
}

export function unsupported(what: string): never {
  throw new UnsupportedReadError(what);
}

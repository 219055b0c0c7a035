import {
  type messages,
  type ParserOptions,
  type PGlite,
  parse,
  protocol,
  type QueryOptions,
  type Results,
} from '@electric-sql/pglite';

const { serialize } = protocol;

/** Runs statements on a PGlite and keeps the most recent ones prepared. */
export interface PreparedStatements {
  /** Runs one statement, as `PGlite.query` does. */
  query<Row>(sql: string, values?: readonly unknown[], options?: QueryOptions): Promise<Results<Row>>;
  /** Discards all prepared statements. Required after a change of the schema, which can change their result types. */
  forget(): Promise<void>;
}

interface Prepared {
  /** Empty for a statement that is not kept. */
  name: string;
  /** The types of the parameters. */
  types: number[];
  /** The description of the rows. */
  description: messages.BackendMessage[];
}

/** Maximum number of statements that stay prepared. PostgreSQL keeps the plan of each in memory. */
export const maxPrepared = 200;

/** Matches statements that PostgreSQL plans. Other statements are not kept. */
const planned = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/i;
/** Matches statements that control a transaction. The rest can change the schema. */
const ofTransaction = /^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|LOCK)\b/i;

const known = new WeakMap<PGlite, PreparedStatements>();

/**
 * Returns the prepared statements of a PGlite. `PGlite.query` parses and plans a statement each time, which takes
 * longer than executing it.
 */
export function preparedStatements(lite: PGlite): PreparedStatements {
  const statements = known.get(lite) ?? createPreparedStatements(lite);
  known.set(lite, statements);
  return statements;
}

function createPreparedStatements(lite: PGlite): PreparedStatements {
  /** By text, the least recently used first. */
  const kept = new Map<string, Prepared>();
  let lastName = 0;
  const send = (message: Uint8Array) => lite.execProtocolStream(message, { syncToFs: false });

  async function discard(count: number): Promise<void> {
    for (const [sql, { name }] of [...kept].slice(0, count)) {
      kept.delete(sql);
      await send(serialize.close({ type: 'S', name }));
    }
  }

  async function prepare(sql: string): Promise<Prepared> {
    const isPlanned = planned.test(sql);
    if (!isPlanned && !ofTransaction.test(sql)) await discard(kept.size);
    if (isPlanned && kept.size >= maxPrepared) await discard(1);
    const name = isPlanned ? `kept_${++lastName}` : '';
    await send(serialize.parse({ name, text: sql }));
    const described = await send(serialize.describe({ type: 'S', name }));
    const types = parse.parseDescribeStatementResults(described);
    return { name, types, description: described.filter((message) => message.name === 'rowDescription') };
  }

  async function run(sql: string, values: readonly unknown[]): Promise<messages.BackendMessage[]> {
    const statement = kept.get(sql) ?? (await prepare(sql));
    kept.delete(sql);
    if (statement.name !== '') kept.set(sql, statement);
    const texts = values.map((value, index) => {
      if (value === null || value === undefined) return null;
      const serializer = lite.serializers[statement.types[index] as number];
      return serializer ? serializer(value) : String(value);
    });
    const bind = serialize.bind({ statement: statement.name, values: texts });
    const received = await send(Buffer.concat([bind, serialize.execute({}), serialize.sync()]));
    return [...statement.description, ...received];
  }

  /** The parsers of PGlite with those of a query. Merging them for each query takes longer than parsing its rows. */
  const merged = new WeakMap<ParserOptions, PGlite['parsers']>();
  function parsersWith(own: ParserOptions | undefined): PGlite['parsers'] {
    if (!own) return lite.parsers;
    const parsers = merged.get(own) ?? { ...lite.parsers, ...own };
    merged.set(own, parsers);
    return parsers;
  }

  return {
    query: <Row>(sql: string, values: readonly unknown[] = [], { parsers, ...options }: QueryOptions = {}) =>
      lite.runExclusive(async () => {
        try {
          const [result] = parse.parseResults(await run(sql, values), parsersWith(parsers), options);
          await lite.syncToFs();
          return result as Results<Row>;
        } catch (error) {
          // PostgreSQL ignores everything after an error until a sync.
          await send(serialize.sync());
          throw error;
        }
      }),
    forget: () =>
      lite.runExclusive(async () => {
        await discard(kept.size);
        await send(serialize.sync());
      }),
  };
}

import type { Connections } from '../database.ts';
import { inStatementSpan } from '../statement-span.ts';
import type { Engine } from './engine.ts';
import { type Reply, type Request, sqlOf } from './requests.ts';
import type { Session } from './thread.ts';

/** A transaction with exclusive use of the database. Other requests wait until it is over. */
interface Transaction {
  send<R extends Request>(request: R): Promise<Reply<R>>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** The single session of a PGlite, shared by all its callers. */
export interface Sessions {
  /** Runs a request in a separate transaction. */
  send<R extends Request>(request: R): Promise<Reply<R>>;
  /** Waits until all earlier requests and transactions are over, and starts a transaction. */
  begin(): Promise<Transaction>;
  /** Returns the use of the session, which counts as one connection. */
  connections(): Connections;
}

/** Returns a function that runs tasks one after another, in the order in which they arrive. */
function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

const command = (sql: string): Extract<Request, { kind: 'executeRaw' }> => ({
  kind: 'executeRaw',
  query: { sql, args: [], argTypes: [] },
});

/** Creates the shared session of an engine. `onStatement` is called with the text of every request that is sent. */
export function createSessions(engine: Engine, onStatement?: (text: string) => void): Sessions {
  const inOrder = inTurn();
  /** The number of requests and transactions that run or wait. */
  let pending = 0;
  const turn = <T>(work: () => Promise<T>): Promise<T> => {
    pending++;
    return inOrder(work).finally(() => {
      pending--;
    });
  };
  const send = <R extends Request>(session: Session, request: R): Promise<Reply<R>> => {
    onStatement?.(sqlOf(request));
    return inStatementSpan(sqlOf(request), () => session.send(request));
  };

  /** Waits for this caller's turn, and returns a function that ends the turn. */
  const takeTurn = () =>
    new Promise<() => void>((start) => {
      void turn(() => new Promise<void>(start));
    });

  async function begin(): Promise<Transaction> {
    const release = await takeTurn();
    let session: Session;
    try {
      session = await engine.session();
      await send(session, command('BEGIN'));
    } catch (error) {
      release();
      throw error;
    }
    const next = inTurn();
    let over = false;
    const end = (sql: 'COMMIT' | 'ROLLBACK') =>
      next(async () => {
        if (over) return;
        over = true;
        try {
          // A session that stopped has already rolled back. COMMIT is sent to it anyway, and fails.
          if (sql === 'COMMIT' || session.open) await send(session, command(sql));
        } finally {
          release();
        }
      });
    return {
      send: (request) =>
        next(async () => {
          if (over) throw new Error('the transaction is over');
          return send(session, request);
        }),
      commit: () => end('COMMIT'),
      rollback: () => end('ROLLBACK'),
    };
  }

  return {
    send: (request) => turn(async () => send(await engine.session(), request)),
    begin,
    connections: () => ({ open: 1, idle: pending === 0 ? 1 : 0, waiting: Math.max(0, pending - 1) }),
  };
}

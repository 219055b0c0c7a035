import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse, unauthenticated } from '../../errors.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { IndexedEvent } from './events.ts';
import type { ChatRun, Runs } from './runs.ts';

const WhichRun = z
  .object({
    runId: z.guid().nullish(),
    sessionId: z.guid().nullish(),
    /** A negative index reads from the start. */
    from: z
      .int()
      .transform((index) => Math.max(index, 0))
      .nullish(),
  })
  .refine(({ runId, sessionId }) => (runId == null) !== (sessionId == null), {
    message: 'give either `runId` or `sessionId`',
    path: ['runId'],
  });

/**
 * Creates the service through which clients read and stop runs. A run can have any number of readers and belongs to
 * none of them.
 */
export function createRunReaders(db: Database, knowledge: KnowledgeService, runs: Runs, revocations: Revocations) {
  /** Returns an event as another reader can see it: citations of documents that the reader cannot read are removed. */
  async function knownTo(principal: Principal, event: IndexedEvent): Promise<IndexedEvent[]> {
    if (event.type === 'citation') {
      const known = await knowledge.readable(principal, [event.documentId]);
      return known.has(event.documentId) ? [event] : [];
    }
    // The provider's error message may quote the prompt, including documents that this reader cannot read.
    if (event.type === 'failed') return [{ ...event, provider: null }];
    if (event.type !== 'searchDocuments' && event.type !== 'answerStarted') return [event];
    const known = await knowledge.readable(
      principal,
      event.documents.map(({ documentId }) => documentId),
    );
    return [{ ...event, documents: event.documents.filter(({ documentId }) => known.has(documentId)) }];
  }

  return {
    /** Stops the running answer of a session of the caller and keeps its text. Returns whether there was one. */
    async stop(principal: Principal, sessionId: string): Promise<boolean> {
      const where = { ...visible.chatSessions(principal), id: sessionId };
      if ((await db.prisma.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
      return runs.stop(sessionId);
    },

    /**
     * Returns an active or recently finished run of a readable session and the index to read from: a run by ID, or the
     * last run of a session. Throws NOT_FOUND, and BAD_USER_INPUT when `from` is greater than the number of events so
     * far; an equal value waits for the next event.
     */
    async find(principal: Principal, which: z.input<typeof WhichRun>): Promise<{ run: ChatRun; from: number }> {
      demand(principal, 'read:chat');
      const { runId, sessionId, from } = parse(WhichRun, which, []);
      const run = await (runId == null ? runs.lastOf(sessionId ?? '') : runs.find(runId));
      const where = run && { AND: [visible.chatSessions(principal), { id: run.sessionId }] };
      if (!run || (await db.prisma.chatSession.count({ where: where ?? {} })) === 0) throw notFound('RUN_NOT_FOUND');
      if ((from ?? 0) > run.length)
        throw badInput(['from'], `must be at most ${run.length}, the number of events so far`);
      return { run, from: from ?? 0 };
    },

    /**
     * Yields the events of a run from an index until it ends or the reader disconnects. In a run of another user,
     * removes documents that the reader cannot read. Throws UNAUTHENTICATED when the reader's credential ends, and
     * NOT_FOUND when the chat leaves the project that the reader is restricted to.
     */
    async *read(
      principal: Principal,
      run: ChatRun,
      from: number,
      signal: AbortSignal,
    ): AsyncGenerator<IndexedEvent, void, undefined> {
      const watch = revocations.watch(principal);
      try {
        const { projectId } = principal.credential;
        for await (const event of run.read(from, AbortSignal.any([signal, watch.signal]))) {
          if (projectId !== null && run.projectId !== projectId) throw notFound('RUN_NOT_FOUND');
          if (run.userId === principal.userId) yield event;
          else yield* await knownTo(principal, event);
        }
        if (watch.signal.aborted) throw unauthenticated();
      } finally {
        watch.done();
      }
    },
  };
}

export type RunReaders = ReturnType<typeof createRunReaders>;

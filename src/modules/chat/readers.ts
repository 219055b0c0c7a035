import { z } from 'zod';
import { demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse, unauthenticated } from '../../errors.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/revocations.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { IndexedEvent } from './events.ts';
import type { ActiveRun, Runs } from './runs.ts';

const WhichRun = z
  .object({
    runId: z.guid().nullish(),
    sessionId: z.guid().nullish(),
    /** What is below 0 is the beginning. */
    from: z
      .int()
      .transform((index) => Math.max(index, 0))
      .nullish(),
  })
  .refine(({ runId, sessionId }) => (runId == null) !== (sessionId == null), {
    message: 'give runId or sessionId, and not both',
    path: ['runId'],
  });

/** Whoever reads a run, or stops it: any number of them, and none that it belongs to. */
export function runReaders(db: Database, knowledge: KnowledgeService, runs: Runs, revocations: Revocations) {
  /** An event as another reader than the one who asked may see it: none for the citation of a hidden document. */
  async function knownTo(principal: Principal, event: IndexedEvent): Promise<IndexedEvent[]> {
    if (event.type === 'citation') {
      const known = await knowledge.readable(principal, [event.documentId]);
      return known.has(event.documentId) ? [event] : [];
    }
    // A provider may quote what it was sent.
    if (event.type === 'failed') return [{ ...event, provider: null }];
    if (event.type !== 'searchDocuments' && event.type !== 'answerStarted') return [event];
    const known = await knowledge.readable(
      principal,
      event.documents.map(({ documentId }) => documentId),
    );
    return [{ ...event, documents: event.documents.filter(({ documentId }) => known.has(documentId)) }];
  }

  return {
    /** Stops what a session of the caller's is saying; what was said is kept. Returns whether anything was. */
    async stop(principal: Principal, sessionId: string): Promise<boolean> {
      const where = { ...visible.chatSessions(principal), id: sessionId };
      if ((await db.prisma.chatSession.count({ where })) === 0) throw notFound('Chat session');
      const run = runs.ofSession(sessionId);
      run?.stop();
      return run !== undefined;
    },

    /**
     * A run of a session that the caller may read, under way or just over, and from which event on: a run by its id, or
     * what a session is saying or said last. Throws NOT_FOUND, and BAD_USER_INPUT for a `from` that is more than the
     * events so far; as many wait for the next one.
     */
    async find(principal: Principal, which: z.input<typeof WhichRun>): Promise<{ run: ActiveRun; from: number }> {
      demand(principal, 'read:chat');
      const { runId, sessionId, from } = parse(WhichRun, which, []);
      const run = runId == null ? runs.lastOf(sessionId ?? '') : runs.get(runId);
      const where = run && { AND: [visible.chatSessions(principal), { id: run.sessionId }] };
      if (!run || (await db.prisma.chatSession.count({ where: where ?? {} })) === 0) throw notFound('Run');
      if ((from ?? 0) > run.length) throw badInput(['from'], `there are ${run.length} events so far`);
      return { run, from: from ?? 0 };
    },

    /**
     * What a reader sees of a run, from an event on, until it ends or the reader goes: of a run of somebody else's,
     * without the documents that are not the reader's. Throws UNAUTHENTICATED at the moment at which the reader's
     * credential dies, NOT_FOUND when its chat leaves the project that the reader is confined to.
     */
    async *read(
      principal: Principal,
      run: ActiveRun,
      from: number,
      signal: AbortSignal,
    ): AsyncGenerator<IndexedEvent, void, undefined> {
      const watch = revocations.watch(principal);
      try {
        const { projectId } = principal.credential;
        for await (const event of run.read(from, AbortSignal.any([signal, watch.signal]))) {
          if (projectId !== null && run.projectId !== projectId) throw notFound('Run');
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

export type RunReaders = ReturnType<typeof runReaders>;

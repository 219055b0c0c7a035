import type { Importing } from '../importing.ts';
import { type OnyxClient, orReport } from './client.ts';
import { createAgent } from './create-agent.ts';
import { importFiles } from './files.ts';
import { OnyxResponseError } from './response-errors.ts';
import { Agent, AgentRef, nameOf } from './shapes.ts';

/**
 * Imports the agents that the key can see. Built-in ones correspond to this server's built-in agent. Returns the source
 * IDs of those that failed and may be imported by the next run.
 */
export async function importAgents(importing: Importing, client: OnyxClient): Promise<ReadonlySet<number>> {
  const { ledger, report, dryRun } = importing;

  /**
   * Returns true when the agent was imported or can never be; throws OnyxResponseError or returns false when the next
   * run may import it.
   */
  async function bringOne(id: number, called: string): Promise<boolean> {
    const { data: agent } = Agent.safeParse(await client.read(`/persona/${id}`));
    const wanted = nameOf(agent?.name ?? null, 255);
    if (!agent || wanted === null) {
      report.leave(called, agent ? 'has no name' : 'cannot be read');
      return true;
    }
    const files = dryRun ? [] : agent.user_file_ids.map((file) => ({ id: file, name: null }));
    const fileIds = await importFiles(importing, client, files);
    const target = await ledger.bring('agent', {
      id,
      name: wanted,
      work: (transaction) => createAgent(transaction, importing, agent, { wanted, fileIds }),
    });
    return target !== null;
  }

  const listed = await client.read('/persona');
  if (!Array.isArray(listed)) throw new OnyxResponseError('/persona', 200, 'does not list agents');
  const failed = new Set<number>();
  for (const [index, entry] of listed.entries()) {
    ledger.step('agent', listed.length);
    const { data: ref } = AgentRef.safeParse(entry);
    if (!ref) {
      report.leave(`agent number ${index + 1}`, 'does not have the form of an agent');
      continue;
    }
    if (ref.builtin_persona || ref.id <= 0) continue;
    if (ledger.targetOf('agent', ref.id) !== undefined) {
      report.known('agent');
      continue;
    }
    const called = `agent ${ref.name || ref.id}`;
    if (!(await orReport(report, called, () => bringOne(ref.id, called)))) failed.add(ref.id);
  }
  return failed;
}

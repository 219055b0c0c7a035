import { by } from '../../audit/audit.service.ts';
import type { Importing } from '../importing.ts';
import type { OnyxClient } from './client.ts';
import { Instructions, nameOf, type Project } from './shapes.ts';

/** Older servers return the instructions on a separate path. */
async function instructionsOf(client: OnyxClient, project: Project): Promise<string | null> {
  if (project.instructions !== null) return project.instructions;
  const read = Instructions.safeParse(await client.readIfThere(`/user/projects/${project.id}/instructions`));
  return read.success ? read.data.instructions : null;
}

/**
 * Imports a project with its instructions and returns its new ID, or null when it was not imported, which is reported.
 * Throws OnyxResponseError when the instructions cannot be read.
 */
export async function importProject(
  importing: Importing,
  client: OnyxClient,
  project: Project,
  name: string,
): Promise<string | null> {
  const { services, operator, ledger, report, dryRun } = importing;
  const fresh = ledger.targetOf('project', project.id) === undefined && !dryRun;
  const instructions = fresh ? await instructionsOf(client, project) : null;
  return ledger.bring('project', {
    id: project.id,
    name,
    async work(transaction) {
      if ((instructions?.length ?? 0) > 20_000)
        report.changed(`project ${name}`, 'was imported with truncated instructions');
      const made = await transaction.project.create({
        data: {
          name,
          description: nameOf(project.description, 2000),
          instructions: nameOf(instructions, 20_000),
          ownerId: operator.userId,
          ...(project.created_at && { createdAt: project.created_at }),
        },
      });
      await services.audit.record(transaction, {
        ...by(operator),
        action: 'project.create',
        target: { type: 'Project', id: made.id },
        detail: { name: made.name, importedFrom: ledger.source },
      });
      return String(made.id);
    },
  });
}

import { by } from '../../audit/audit.service.ts';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { type OnyxClient, orReport, Refused } from './client.ts';
import { importFiles } from './files.ts';
import { Instructions, nameOf, Project, ProjectFile, type SessionRef } from './shapes.ts';

/** The sessions of projects, and the project of each. */
export interface ProjectChats {
  sessions: SessionRef[];
  projectOf: Map<string, number>;
  /** Sessions of projects that failed; they are imported together with their project. */
  withheld: Set<string>;
}

/** Lists the projects: newer servers have the first path, older ones the second. */
async function listProjects({ report }: Importing, client: OnyxClient): Promise<unknown[]> {
  for (const path of ['/user/projects', '/user/projects/']) {
    // A limited key receives an empty list.
    const listed = await client.readIfThere(path, [403]);
    if (Array.isArray(listed)) return listed;
    if (listed !== null) throw new Refused(path, 200, 'does not list projects');
  }
  report.leave('projects', 'are not available to this key');
  return [];
}

/**
 * Imports the projects of the key's user with their instructions and files. Throws OnyxResponseError when they cannot
 * be listed.
 */
export async function importProjects(importing: Importing, client: OnyxClient): Promise<ProjectChats> {
  const { db, services, operator, ledger, report, dryRun } = importing;
  const projects = await listProjects(importing, client);
  const chats: ProjectChats = { sessions: [], projectOf: new Map(), withheld: new Set() };

  /** Older servers return the instructions on a separate path. */
  async function instructionsOf(project: Project): Promise<string | null> {
    if (project.instructions !== null) return project.instructions;
    const read = Instructions.safeParse(await client.readIfThere(`/user/projects/${project.id}/instructions`));
    return read.success ? read.data.instructions : null;
  }

  async function create(project: Project, name: string): Promise<string | null> {
    const fresh = ledger.targetOf('project', project.id) === undefined && !dryRun;
    const instructions = fresh ? await instructionsOf(project) : null;
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

  /** Adds a file to the project, also one that was imported before, unless it was removed from the project here. */
  async function put(file: ProjectFile, project: Project, target: string): Promise<void> {
    const id = file.file_id ?? file.id;
    const [fileId] = await importFiles(importing, client, [{ id, name: file.name }]);
    const key = `${project.id}:${id}`;
    if (fileId === undefined && !dryRun) return;
    await ledger.bring('link', {
      id: key,
      name: `${file.name ?? id} to ${project.name ?? project.id}`,
      async work(transaction) {
        const where = { id: Number(target) };
        if ((await transaction.project.count({ where })) === 0) throw new Unfit('its project was deleted here');
        await transaction.project.update({ where, data: { files: { connect: { id: fileId ?? '' } } } });
        return key;
      },
    });
  }

  async function fill(project: Project, called: string, target: string): Promise<void> {
    const given = await client.readIfThere(`/user/projects/files/${project.id}`);
    if (!Array.isArray(given)) {
      report.leave(`files of ${called}`, 'are not available to this key');
      return;
    }
    const files = given.flatMap((file) => ProjectFile.safeParse(file).data ?? []);
    if (files.length < given.length)
      report.leave(`${given.length - files.length} files of ${called}`, 'do not have the form of files');
    for (const file of files)
      await orReport(report, `file ${file.name ?? file.id} of ${called}`, () => put(file, project, target));
  }

  for (const [index, entry] of projects.entries()) {
    ledger.step('project', projects.length);
    const { data: project } = Project.safeParse(entry);
    if (!project) {
      report.leave(`project number ${index + 1}`, 'does not have the form of a project');
      continue;
    }
    const called = `project ${project.name ?? project.id}`;
    const name = nameOf(project.name, 100);
    if (name === null && ledger.targetOf('project', project.id) === undefined) {
      report.leave(called, 'has no name');
      continue;
    }
    const target = await orReport(report, called, () => create(project, name ?? String(project.id)));
    if (target === null) {
      for (const { id } of project.chat_sessions) chats.withheld.add(id);
      if (project.chat_sessions.length > 0) report.fail(`chats of ${called}`, 'are imported together with it');
      continue;
    }
    await orReport(report, `files of ${called}`, () => fill(project, called, target));
    for (const session of project.chat_sessions) {
      chats.sessions.push(session);
      chats.projectOf.set(session.id, project.id);
    }
  }
  const there = await db.prisma.project.findMany({ where: { ownerId: operator.userId }, select: { id: true } });
  const ids = new Set(there.map(({ id }) => String(id)));
  // A chat whose project was deleted here has no project.
  for (const [session, project] of chats.projectOf)
    if (!dryRun && !ids.has(ledger.targetOf('project', project) ?? '')) chats.projectOf.delete(session);
  return chats;
}

import type { Importing } from '../importing.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importProject } from './import-project.ts';
import { importProjectFiles } from './project-files.ts';
import { OnyxResponseError } from './response-errors.ts';
import { nameOf, Project, type SessionRef } from './shapes.ts';

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
    if (listed !== null) throw new OnyxResponseError(path, 200, 'does not list projects');
  }
  report.leave('projects', 'are not available to this key');
  return [];
}

/**
 * Imports the projects of the key's user with their instructions and files. Throws OnyxResponseError when they cannot
 * be listed.
 */
export async function importProjects(importing: Importing, client: OnyxClient): Promise<ProjectChats> {
  const { db, operator, ledger, report, dryRun } = importing;
  const projects = await listProjects(importing, client);
  const chats: ProjectChats = { sessions: [], projectOf: new Map(), withheld: new Set() };

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
    const target = await orReport(report, called, () =>
      importProject(importing, client, project, name ?? String(project.id)),
    );
    if (target === null) {
      for (const { id } of project.chat_sessions) chats.withheld.add(id);
      if (project.chat_sessions.length > 0) report.fail(`chats of ${called}`, 'are imported together with it');
      continue;
    }
    await orReport(report, `files of ${called}`, () => importProjectFiles(importing, client, { project, target }));
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

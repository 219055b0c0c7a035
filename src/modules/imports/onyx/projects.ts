import { by } from '../../audit/audit.service.ts';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importFiles } from './files.ts';
import { Instructions, nameOf, Project, ProjectFile, type SessionRef } from './shapes.ts';

/** The sessions of the projects, and the project of each. */
export interface ProjectChats {
  sessions: SessionRef[];
  projectOf: Map<string, number>;
}

/** Brings the projects of the key's user, with their instructions and files. */
export async function importProjects(importing: Importing, client: OnyxClient): Promise<ProjectChats> {
  const { db, services, operator, ledger, report, dryRun } = importing;
  const listed = (await client.readIfThere('/user/projects')) ?? (await client.readIfThere('/user/projects/'));
  const projects = Array.isArray(listed) ? listed : [];
  if (!Array.isArray(listed)) report.leave('projects', 'are not given to this key');
  const chats: ProjectChats = { sessions: [], projectOf: new Map() };

  /** Older servers give the instructions at a place of their own. */
  async function instructionsOf(project: Project): Promise<string | null> {
    if (project.instructions !== null) return project.instructions;
    const read = Instructions.safeParse(await client.readIfThere(`/user/projects/${project.id}/instructions`));
    return read.success ? read.data.instructions : null;
  }

  async function create(project: Project): Promise<string | null> {
    const fresh = ledger.targetOf('project', project.id) === undefined && !dryRun;
    const instructions = fresh ? await instructionsOf(project) : null;
    const wanted = nameOf(project.name, 100);
    return ledger.bring('project', project.id, project.name ?? String(project.id), async (transaction) => {
      if (wanted === null) throw new Unfit('has no name');
      if ((instructions?.length ?? 0) > 20_000)
        report.changed(`project ${wanted}`, 'has the beginning of its instructions alone');
      const made = await transaction.project.create({
        data: {
          name: wanted,
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
    });
  }

  /** Puts the project's files into it, those that were brought before too, unless they were taken out of it here. */
  async function fill(project: Project, target: string): Promise<void> {
    const given = await client.readIfThere(`/user/projects/files/${project.id}`);
    const files = (Array.isArray(given) ? given : []).flatMap((file) => ProjectFile.safeParse(file).data ?? []);
    for (const file of files) {
      const id = file.file_id ?? file.id;
      const [fileId] = await importFiles(importing, client, [{ id, name: file.name }]);
      const key = `${project.id}:${id}`;
      if (fileId === undefined && !dryRun) continue;
      await ledger.bring('link', key, `${file.name ?? id} to ${project.name ?? project.id}`, async (transaction) => {
        const where = { id: Number(target) };
        if ((await transaction.project.count({ where })) === 0) throw new Unfit('its project was deleted here');
        await transaction.project.update({ where, data: { files: { connect: { id: fileId ?? '' } } } });
        return key;
      });
    }
  }

  for (const [index, entry] of projects.entries()) {
    ledger.step('project', projects.length);
    const read = Project.safeParse(entry);
    if (!read.success) {
      report.leave(`project number ${index + 1}`, 'is not described as a project');
      continue;
    }
    const project = read.data;
    const target = await create(project);
    if (target === null) continue;
    await orReport(report, `files of project ${project.name ?? project.id}`, () => fill(project, target));
    for (const session of project.chat_sessions) {
      chats.sessions.push(session);
      chats.projectOf.set(session.id, project.id);
    }
  }
  const there = await db.prisma.project.findMany({ where: { ownerId: operator.userId }, select: { id: true } });
  const ids = new Set(there.map(({ id }) => String(id)));
  // A chat of a project that was deleted here is in none.
  for (const [session, project] of chats.projectOf)
    if (!dryRun && !ids.has(ledger.targetOf('project', project) ?? '')) chats.projectOf.delete(session);
  return chats;
}

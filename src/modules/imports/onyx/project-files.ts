import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { type OnyxClient, orReport } from './client.ts';
import { importFiles } from './files.ts';
import { type Project, ProjectFile } from './shapes.ts';

/** A project of the source with its ID on this server, which is empty in a dry run. */
interface ImportedProject {
  project: Project;
  target: string;
}

/** Adds a file to the project, also one that was imported before, unless it was removed from the project here. */
async function addFile(
  importing: Importing,
  client: OnyxClient,
  file: ProjectFile,
  { project, target }: ImportedProject,
): Promise<void> {
  const { ledger, dryRun } = importing;
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

/** Imports the files of a project and reports those that cannot be imported. */
export async function importProjectFiles(
  importing: Importing,
  client: OnyxClient,
  imported: ImportedProject,
): Promise<void> {
  const { report } = importing;
  const { project } = imported;
  const called = `project ${project.name ?? project.id}`;
  const given = await client.readIfThere(`/user/projects/files/${project.id}`);
  if (!Array.isArray(given)) {
    report.leave(`files of ${called}`, 'are not available to this key');
    return;
  }
  const files = given.flatMap((file) => ProjectFile.safeParse(file).data ?? []);
  if (files.length < given.length)
    report.leave(`${given.length - files.length} files of ${called}`, 'do not have the form of files');
  for (const file of files)
    await orReport(report, `file ${file.name ?? file.id} of ${called}`, () =>
      addFile(importing, client, file, imported),
    );
}

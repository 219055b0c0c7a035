import { projectCreation } from './create-project.ts';
import { projectDeletion } from './delete-project.ts';
import type { ProjectDeps } from './project-deps.ts';
import { projectLists } from './project-lists.ts';
import { projectUpdates } from './update-project.ts';

/** Projects. Each use case has a separate file. */
export const createProjectsService = (deps: ProjectDeps) => ({
  ...projectLists(deps),
  ...projectCreation(deps),
  ...projectUpdates(deps),
  ...projectDeletion(deps),
});

import { z } from 'zod';
import { plainText } from '../../zod-types.ts';
import { clearList } from '../changes.ts';

export const CreateProject = z.object({
  name: plainText(1000).trim().min(1, 'must not be empty').max(100, 'must be at most 100 characters'),
  description: plainText(2000).nullish(),
  instructions: plainText(20_000).nullish(),
});
export const UpdateProject = CreateProject.extend({
  name: CreateProject.shape.name.nullish(),
  clear: clearList(['description', 'instructions']),
});

export type CreateProjectInput = z.input<typeof CreateProject>;
export type UpdateProjectInput = z.input<typeof UpdateProject>;

import { builder } from '../../graphql/builder.ts';
import { ViewerToken } from '../users/viewer.graphql.ts';
import { Project, projectOf } from './projects.graphql.ts';

builder.objectField(ViewerToken, 'project', (t) =>
  t.field({
    type: Project,
    nullable: true,
    authScopes: { permission: 'write:projects' },
    description: 'The project that the credential is confined to; null if it is not confined to one.',
    resolve: ({ credential }, _args, context, info) => projectOf(credential.projectId, context, info),
  }),
);

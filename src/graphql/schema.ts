import {
  DirectiveLocation,
  GraphQLDirective,
  GraphQLList,
  GraphQLNonNull,
  GraphQLString,
  specifiedDirectives,
} from 'graphql';
import './modules.ts';
import { builder } from './builder.ts';
import { describeEnums } from './enum-values.ts';
import { unsizedLists } from './plugins/list-size.ts';

const strings = new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(GraphQLString)));

/** The form that gateways read: any one of the inner lists is sufficient, and all of its names are required. */
const requiresScopes = new GraphQLDirective({
  name: 'requiresScopes',
  description: 'The permissions that a field needs.',
  locations: [DirectiveLocation.FIELD_DEFINITION],
  args: {
    scopes: {
      type: new GraphQLNonNull(new GraphQLList(strings)),
      description: 'The names of permissions, such as `read:agents`.',
    },
  },
});

/** The schema, with the types and fields that `modules.ts` registers. */
export const schema = builder.toSchema({ directives: [...specifiedDirectives, requiresScopes] });

describeEnums(schema);

const unsized = unsizedLists(schema);
if (unsized.length > 0) throw new Error(`${unsized.join(', ')}: a list needs page arguments or a \`listSize\``);

// Registers the types and fields of all modules in the schema.
import '../modules/agents/index.graphql.ts';
import '../modules/audit/audit.graphql.ts';
import '../modules/chat/index.graphql.ts';
import '../modules/files/files.graphql.ts';
import '../modules/gateway/index.graphql.ts';
import '../modules/history/history.graphql.ts';
import '../modules/knowledge/index.graphql.ts';
import '../modules/limits/limits.graphql.ts';
import '../modules/projects/index.graphql.ts';
import '../modules/settings/settings.graphql.ts';
import '../modules/tokens/index.graphql.ts';
import '../modules/users/index.graphql.ts';
import '../modules/widgets/index.graphql.ts';

// Registers the types and fields of this module in the schema.
import './completions.graphql.ts';
import './embeddings.graphql.ts';
import './images.graphql.ts';
import './models.graphql.ts';

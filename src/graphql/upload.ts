import { GraphQLError, GraphQLScalarType } from 'graphql';
import { type IncomingFile, isFile } from '../http/multipart.ts';

/** A file as a variable: https://github.com/jaydenseric/graphql-multipart-request-spec. */
export const UploadedFile = new GraphQLScalarType<IncomingFile, never>({
  name: 'Upload',
  description:
    'A file, sent as a part of a multipart request: see https://github.com/jaydenseric/graphql-multipart-request-spec. Its variable is null in `operations`.',
  specifiedByURL: 'https://github.com/jaydenseric/graphql-multipart-request-spec',
  parseValue(value) {
    if (isFile(value)) return value;
    throw new GraphQLError('A file must be sent as a part of a multipart request.');
  },
  parseLiteral() {
    throw new GraphQLError('A file must be a variable and a part of a multipart request.');
  },
  serialize() {
    throw new GraphQLError('A file cannot be returned.');
  },
});

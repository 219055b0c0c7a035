/**
 * The codes of the errors that a service reports. Each is a stable value of `extensions.code`, and each REST dialect maps
 * it to a status.
 */
export const serviceErrorCodes = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'CONFLICT',
  'RATE_LIMITED',
  'UPSTREAM_REJECTED',
  'UPSTREAM_FAILED',
  'TIMEOUT',
  'UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof serviceErrorCodes)[number];

interface ReasonEntry {
  code: ErrorCode;
  /** Why the request failed. */
  meaning: string;
  /** What the caller can do. */
  remedy: string;
}

/** The objects that a request can name, by the reason for one that does not exist. */
export const missingObjects = {
  AGENT_NOT_FOUND: 'agent',
  API_KEY_NOT_FOUND: 'API key',
  CHAT_MESSAGE_NOT_FOUND: 'chat message',
  CHAT_SESSION_NOT_FOUND: 'chat session',
  CONNECTOR_NOT_FOUND: 'connector',
  DELETED_AGENT_NOT_FOUND: 'deleted agent',
  DOCUMENT_NOT_FOUND: 'document',
  EMBED_NOT_FOUND: 'embed',
  FILE_NOT_FOUND: 'file',
  FOLDER_NOT_FOUND: 'folder',
  INVITATION_NOT_FOUND: 'invitation',
  INVITE_CODE_NOT_FOUND: 'invite code',
  PROJECT_NOT_FOUND: 'project',
  PROJECT_TOKEN_NOT_FOUND: 'project token',
  RATE_LIMIT_NOT_FOUND: 'rate limit',
  RUN_NOT_FOUND: 'run',
  TOKEN_NOT_FOUND: 'token',
  TOOL_NOT_FOUND: 'tool',
  USER_NOT_FOUND: 'user',
  USER_GROUP_NOT_FOUND: 'user group',
} as const;
export type MissingObjectReason = keyof typeof missingObjects;

const missingObjectReasons = Object.fromEntries(
  Object.entries(missingObjects).map(([reason, noun]) => [
    reason,
    {
      code: 'NOT_FOUND',
      meaning: `The ${noun} does not exist, or the caller cannot see it.`,
      remedy: `Check the ID, and that the credential can see the ${noun}.`,
    },
  ]),
) as Record<MissingObjectReason, ReasonEntry & { code: 'NOT_FOUND' }>;

/** Describes a maximum number of objects that is reached. */
const tooMany = (nouns: string) =>
  ({
    code: 'CONFLICT',
    meaning: `The maximum number of ${nouns} is reached. The message states it.`,
    remedy: `Delete ${nouns} that are not used any more.`,
  }) as const;

/**
 * The catalogue of reasons. Every expected failure has one, which is sent as `extensions.reason` and stays stable; its
 * code follows from the reason. `docs/errors.md` is generated from this table.
 */
export const errorReasons = {
  CREDENTIAL_REQUIRED: {
    code: 'UNAUTHENTICATED',
    meaning: 'The operation needs a credential, and the request has none.',
    remedy: 'Send an API key, a token or a session in the `Authorization` header.',
  },
  CREDENTIAL_INVALID: {
    code: 'UNAUTHENTICATED',
    meaning: 'The credential is unknown, expired, revoked or malformed.',
    remedy: 'Create a new credential, or log in again.',
  },
  PASSWORD_INCORRECT: {
    code: 'UNAUTHENTICATED',
    meaning: 'The password of the single-user login is incorrect, or multi-user mode is enabled.',
    remedy: 'Send the password that the server was started with, or log in with an e-mail address.',
  },

  MISSING_PERMISSION: {
    code: 'FORBIDDEN',
    meaning: 'The credential lacks permissions. `extensions.requiredPermissions` lists them.',
    remedy: 'Use a credential with these permissions, or ask an administrator to grant them.',
  },
  PERMISSIONS_EXCEED_CALLER: {
    code: 'FORBIDDEN',
    meaning: 'The request would grant permissions that the caller lacks.',
    remedy: 'Grant only permissions of the caller’s own credential.',
  },
  SCOPES_REQUIRED: {
    code: 'FORBIDDEN',
    meaning: 'A credential with scopes cannot create or change a token without scopes.',
    remedy: 'Specify `scopes`.',
  },
  SECRET_SUPERSEDED: {
    code: 'FORBIDDEN',
    meaning: 'The secret was replaced by a newer one and cannot create, change or revoke credentials.',
    remedy: 'Use the current secret of the key.',
  },
  CREDENTIAL_EXPIRES_EARLIER: {
    code: 'FORBIDDEN',
    meaning: 'A credential that expires cannot regenerate a key that is valid for longer.',
    remedy: 'Use a credential that is valid for at least as long as the key.',
  },
  SESSION_REQUIRED: {
    code: 'FORBIDDEN',
    meaning: 'The operation needs a login session. Keys and tokens cannot call it.',
    remedy: 'Log in, and send the token of the session.',
  },
  REGISTRATION_CLOSED: {
    code: 'FORBIDDEN',
    meaning: 'The server does not accept registrations.',
    remedy: 'Ask an administrator to create an account.',
  },
  REGISTRATION_INVITE_ONLY: {
    code: 'FORBIDDEN',
    meaning: 'The server accepts registrations of invited addresses only.',
    remedy: 'Ask an administrator for an invitation.',
  },
  PROJECT_TOKEN_CONFINED: {
    code: 'FORBIDDEN',
    meaning: 'A project token cannot change anything outside its project.',
    remedy: 'Use an API key, a personal access token or a session of the owner.',
  },
  AGENT_BUILT_IN: {
    code: 'FORBIDDEN',
    meaning: 'A built-in agent cannot be shared or deleted.',
    remedy: 'Create an agent of your own.',
  },
  AGENT_FEATURE_DENIED: {
    code: 'FORBIDDEN',
    meaning: 'Only callers with `manage:agents` can make an agent featured.',
    remedy: 'Leave `featured` unchanged, or use a credential with `manage:agents`.',
  },
  CHAT_NOT_SHARED: {
    code: 'FORBIDDEN',
    meaning: 'The chat session is not shared.',
    remedy: 'Ask its owner to share it.',
  },
  CROSS_ORIGIN_REQUEST: {
    code: 'FORBIDDEN',
    meaning: 'A page of another origin cannot set or use a session cookie.',
    remedy: 'Send the request from a page of this server, or use the `Authorization` header.',
  },
  WIDGET_ORIGIN_DENIED: {
    code: 'FORBIDDEN',
    meaning: 'The page that shows the chat widget is not on the allowlist of the widget.',
    remedy: 'Add the origin of the page to the allowlist of the widget.',
  },

  ...missingObjectReasons,
  PATH_NOT_FOUND: {
    code: 'NOT_FOUND',
    meaning: 'The server does not serve this path.',
    remedy: 'Check the path. `/api/docs` lists those of the REST API.',
  },
  EMBEDDINGS_NOT_CONFIGURED: {
    code: 'NOT_FOUND',
    meaning: 'The server has no embedding model.',
    remedy: 'Ask an operator to configure an embedding model.',
  },
  IMAGES_NOT_CONFIGURED: {
    code: 'NOT_FOUND',
    meaning: 'The server has no image model.',
    remedy: 'Ask an operator to configure an image model.',
  },

  INVALID_INPUT: {
    code: 'BAD_USER_INPUT',
    meaning: 'Fields of the request are invalid. `extensions.fields` lists each with its path and message.',
    remedy: 'Correct the fields.',
  },
  INVALID_REQUEST: {
    code: 'BAD_USER_INPUT',
    meaning: 'The request or its GraphQL document is invalid as a whole.',
    remedy: 'Correct the request as the message states.',
  },
  LOGIN_FAILED: {
    code: 'BAD_USER_INPUT',
    meaning: 'The address, user name or password is incorrect, or the account is deactivated.',
    remedy: 'Check the address and the password.',
  },
  OPERATION_LIMIT: {
    code: 'BAD_USER_INPUT',
    meaning: 'The GraphQL operation exceeds the limit that `extensions.limit` names, such as its cost or depth.',
    remedy: 'Request smaller pages, fewer lists within lists, or split the operation.',
  },
  RESPONSE_TOO_LARGE: {
    code: 'BAD_USER_INPUT',
    meaning: 'The response would exceed the limit that `extensions.limit` names.',
    remedy: 'Request smaller pages, or fewer fields.',
  },

  ADDRESS_TAKEN: {
    code: 'CONFLICT',
    meaning: 'An account with this address or user name already exists.',
    remedy: 'Log in, or use another address.',
  },
  AGENT_NAME_TAKEN: {
    code: 'CONFLICT',
    meaning: 'An agent with this name already exists.',
    remedy: 'Choose another name.',
  },
  LABEL_NAME_TAKEN: {
    code: 'CONFLICT',
    meaning: 'A label with this name already exists.',
    remedy: 'Use the existing label, or choose another name.',
  },
  FOLDER_NAME_TAKEN: {
    code: 'CONFLICT',
    meaning: 'A folder with this name already exists.',
    remedy: 'Choose another name.',
  },
  FILE_NAME_TAKEN: {
    code: 'CONFLICT',
    meaning: 'The folder already contains a document with this file name.',
    remedy: 'Choose another file name, or delete the other document.',
  },
  DOCUMENT_ID_TAKEN: {
    code: 'CONFLICT',
    meaning: 'The document ID belongs to a document that the caller cannot change.',
    remedy: 'Choose another document ID.',
  },
  SLUG_TAKEN: {
    code: 'CONFLICT',
    meaning: 'The slug is already in use.',
    remedy: 'Choose another slug, or omit it.',
  },
  LAST_ADMIN: {
    code: 'CONFLICT',
    meaning: 'The last administrator cannot be removed, demoted or deactivated.',
    remedy: 'Make another user an administrator first.',
  },
  CANNOT_DEACTIVATE_SELF: {
    code: 'CONFLICT',
    meaning: 'Users cannot deactivate their own account.',
    remedy: 'Ask another administrator.',
  },
  CANNOT_DELETE_SELF: {
    code: 'CONFLICT',
    meaning: 'Users cannot delete their own account.',
    remedy: 'Ask another administrator.',
  },
  CANNOT_DEMOTE_SELF: {
    code: 'CONFLICT',
    meaning: 'Administrators cannot change their own role.',
    remedy: 'Ask another administrator.',
  },
  USER_ACTIVE: {
    code: 'CONFLICT',
    meaning: 'The user is active and cannot be deleted.',
    remedy: 'Deactivate the user first.',
  },
  MULTI_USER_MODE_ENABLED: {
    code: 'CONFLICT',
    meaning: 'Multi-user mode is already enabled.',
    remedy: 'Log in with an account.',
  },
  SESSION_ALREADY_REFRESHED: {
    code: 'CONFLICT',
    meaning: 'The session was refreshed, and its secret is superseded.',
    remedy: 'Use the new token of the session.',
  },
  DOCUMENT_OF_FILE: {
    code: 'CONFLICT',
    meaning: 'The document contains the text of a file and cannot be changed or deleted on its own.',
    remedy: 'Change or delete the file.',
  },
  DOCUMENT_OF_OTHER_ORIGIN: {
    code: 'CONFLICT',
    meaning: 'The document was added in another way than the operation expects.',
    remedy: 'Use the operation for documents of that origin.',
  },
  TOO_MANY_AGENTS: tooMany('agents'),
  TOO_MANY_FILES: tooMany('files'),
  TOO_MANY_FOLDERS: tooMany('folders'),
  TOO_MANY_PROJECTS: tooMany('projects'),
  TOO_MANY_RATE_LIMITS: tooMany('rate limits'),
  TOO_MANY_TOKENS: tooMany('tokens'),
  STORAGE_FULL: {
    code: 'CONFLICT',
    meaning: 'The files of the user reach the storage limit.',
    remedy: 'Delete files.',
  },
  TURN_IN_PROGRESS: {
    code: 'CONFLICT',
    meaning: 'The chat session is still answering earlier messages.',
    remedy: 'Wait for the answer, or stop its run.',
  },
  ANSWER_STOPPED: {
    code: 'CONFLICT',
    meaning: 'The answer was stopped before it was complete.',
    remedy: 'Send the message again.',
  },
  REQUEST_IN_PROGRESS: {
    code: 'CONFLICT',
    meaning: 'The first request with this `Idempotency-Key` is still running.',
    remedy: 'Repeat the request later with the same key.',
  },
  CHANGED_CONCURRENTLY: {
    code: 'CONFLICT',
    meaning: 'The data changed while the request was running. Nothing was written.',
    remedy: 'Repeat the request.',
  },
  EXTRACTION_INTERRUPTED: {
    code: 'CONFLICT',
    meaning: 'The server stopped while it extracted the text of a file. Nothing was written.',
    remedy: 'Repeat the request.',
  },

  REQUEST_LIMIT: {
    code: 'RATE_LIMITED',
    meaning:
      'A limit on requests per minute or a token budget is reached. `extensions.retryAfter` states when it resets.',
    remedy: 'Wait, or ask an administrator to raise the limit.',
  },
  LOGIN_ATTEMPTS: {
    code: 'RATE_LIMITED',
    meaning: 'The address or the account had too many failed logins or registrations.',
    remedy: 'Wait for the time in `Retry-After`.',
  },
  TOO_MANY_ANSWERS: {
    code: 'RATE_LIMITED',
    meaning: 'Too many answers of the user are being generated at the same time.',
    remedy: 'Wait until one is complete.',
  },
  TOO_MANY_WAITING_MESSAGES: {
    code: 'RATE_LIMITED',
    meaning: 'Too many messages of the user are waiting for an answer to end.',
    remedy: 'Wait until some are answered.',
  },
  TOO_MANY_BODIES: {
    code: 'RATE_LIMITED',
    meaning: 'Too many request bodies of the client are incomplete.',
    remedy: 'Send fewer requests at the same time.',
  },
  WIDGET_LIMIT: {
    code: 'RATE_LIMITED',
    meaning: 'A limit of the chat widget is reached: of the widget, of a visitor, or of an address.',
    remedy: 'Wait for the time in `Retry-After`.',
  },
  RATE_LIMITED: {
    code: 'RATE_LIMITED',
    meaning: 'The model’s provider limits requests.',
    remedy: 'Wait for the time in `Retry-After`, or use another model.',
  },

  CONTEXT_TOO_LONG: {
    code: 'UPSTREAM_REJECTED',
    meaning: 'The request is longer than the context window of the model.',
    remedy: 'Shorten the messages, or use a model with a larger context window.',
  },
  CONTENT_POLICY: {
    code: 'UPSTREAM_REJECTED',
    meaning: 'The model’s provider rejected the content of the request.',
    remedy: 'Change the content.',
  },
  REQUEST_REJECTED: {
    code: 'UPSTREAM_REJECTED',
    meaning: 'The model’s provider rejected the request. `extensions.providerMessage` states why.',
    remedy: 'Change the request as the provider states.',
  },
  QUOTA_EXHAUSTED: {
    code: 'UPSTREAM_FAILED',
    meaning: 'The quota of this server at the model’s provider is used up.',
    remedy: 'Ask an operator to raise the quota at the provider.',
  },
  PROVIDER_MISCONFIGURED: {
    code: 'UPSTREAM_FAILED',
    meaning: 'The model’s provider rejected the configuration of this server.',
    remedy: 'Ask an operator to check the address, the key and the model in the settings.',
  },
  UPSTREAM_FAILED: {
    code: 'UPSTREAM_FAILED',
    meaning: 'The model’s provider failed, or the connection to it was lost.',
    remedy: 'Repeat the request later.',
  },
  TOOL_CALL_FAILED: {
    code: 'UPSTREAM_FAILED',
    meaning: 'The model called a tool that it does not have.',
    remedy: 'Send the message again, or change the instructions of the agent.',
  },
  TIMEOUT: {
    code: 'UPSTREAM_FAILED',
    meaning: 'The model did not complete the answer in time.',
    remedy: 'Send the message again, or ask for a shorter answer.',
  },

  OPERATION_TIMEOUT: {
    code: 'TIMEOUT',
    meaning: 'The GraphQL operation exceeded its time limit and was stopped. Changes made before that remain.',
    remedy: 'Request less data per operation.',
  },

  DATABASE_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'The database is not available.',
    remedy: 'Repeat the request after the time in `Retry-After`.',
  },
  BLOB_STORE_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'The bucket that stores the bytes of files is not available or denies access to the server.',
    remedy: 'Repeat the request after the time in `Retry-After`.',
  },
  SHARED_STATE_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'Redis, through which the instances of the server share their state, is not available.',
    remedy: 'Repeat the request after the time in `Retry-After`.',
  },
  SERVER_STARTING: {
    code: 'UNAVAILABLE',
    meaning: 'The server is starting.',
    remedy: 'Repeat the request after the time in `Retry-After`.',
  },
  SERVER_SHUTDOWN: {
    code: 'UNAVAILABLE',
    meaning: 'The server is stopping, or stopped before the answer was complete.',
    remedy: 'Repeat the request after the time in `Retry-After`.',
  },

  INTERNAL_ERROR: {
    code: 'INTERNAL',
    meaning: 'The server failed unexpectedly. The message contains the ID of the request.',
    remedy: 'Report the ID to the operator, whose log contains the cause.',
  },
} as const satisfies Record<string, ReasonEntry>;

/** The reasons of a single invalid field, where a REST dialect has a message of its own for it. */
export type FieldReason =
  | 'BLANK'
  | 'BUILT_IN'
  | 'DOMAIN_RESERVED'
  | 'ID_EXPECTED'
  | 'INTEGER_ID_EXPECTED'
  | 'MISSING_OBJECTS'
  | 'OTHER_TYPE'
  | 'UUID_EXPECTED';

export type ErrorReason = keyof typeof errorReasons;

/** The reasons of an error code. */
export type ReasonOf<Code extends ErrorCode> = {
  [Reason in ErrorReason]: (typeof errorReasons)[Reason]['code'] extends Code ? Reason : never;
}[ErrorReason];

const isServiceCode = new Set<string>(serviceErrorCodes);
/** Returns whether errors with this code have a reason: all but those of GraphQL documents and of HTTP. */
export const hasReason = (code: string): code is ErrorCode => isServiceCode.has(code);

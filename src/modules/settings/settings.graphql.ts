import { signedIn } from '../../authz/principal.ts';
import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import type { ServerSettings as Server, Preferences as StoredPreferences } from './settings.service.ts';

interface Link {
  icon: string;
  url: string;
}

const FooterLink = builder.objectRef<Link>('FooterLink').implement({
  description: 'A link at the foot of a client’s pages.',
  fields: (t) => ({
    icon: t.exposeString('icon', { description: 'The name of a symbol that the client knows.' }),
    url: t.exposeString('url', { description: 'Where it leads: http or https.' }),
  }),
});

const FooterLinkInput = builder.inputType('FooterLinkInput', {
  description: 'A link at the foot of a client’s pages.',
  fields: (t) => ({
    icon: t.string({ required: true, description: 'The name of a symbol that the client knows.' }),
    url: t.string({ required: true, description: 'Where it leads: http or https, at most 2000 characters.' }),
  }),
});

const Preferences = builder.objectRef<StoredPreferences>('Preferences').implement({
  description: 'How the server presents itself to clients, and what new agents of the workspace paths begin with.',
  fields: (t) => ({
    supportEmail: t.exposeString('supportEmail', { nullable: true, description: 'Whom people write to for help.' }),
    appName: t.exposeString('appName', { nullable: true, description: 'What clients call the server.' }),
    pageTitle: t.exposeString('pageTitle', { nullable: true, description: 'The title of a client’s pages.' }),
    pageFavicon: t.exposeString('pageFavicon', { nullable: true, description: 'The address of their symbol.' }),
    logoFileName: t.exposeString('logoFileName', { nullable: true, description: 'The name of their logo’s file.' }),
    footerLinks: t.field({
      type: [FooterLink],
      listSize: 3,
      description: 'Links at the foot of their pages.',
      resolve: ({ footerLinks }) => footerLinks,
    }),
    defaultSystemPrompt: t.exposeString('defaultSystemPrompt', {
      nullable: true,
      description: 'The system prompt of new agents of the workspace paths.',
    }),
    maxTokenLifetimeDays: t.exposeInt('maxTokenLifetimeDays', {
      nullable: true,
      description: 'Maximum lifetime of new keys and tokens, in days. Null if unlimited.',
    }),
    defaultTokenLifetimeDays: t.exposeInt('defaultTokenLifetimeDays', {
      nullable: true,
      description:
        'Lifetime, in days, of a new key or token whose creator gives none. Null for the maximum, or for no expiry without one.',
    }),
  }),
});

const ServedModel = builder.objectRef<NonNullable<Server['embeddingModel']>>('ServedModel').implement({
  description: 'A model of another server.',
  fields: (t) => ({
    model: t.exposeString('model', { description: 'Its name.' }),
    baseUrl: t.exposeString('baseUrl', { description: 'The address of that server.' }),
    apiKeyConfigured: t.exposeBoolean('apiKeyConfigured', { description: 'Whether there is a key for it.' }),
  }),
});

const LanguageModelSettings = builder.objectRef<Server['languageModel']>('LanguageModelSettings').implement({
  description: 'The language model that answers.',
  fields: (t) => ({
    provider: t.exposeString('provider', { description: '`embedded` or `openai-compatible`.' }),
    model: t.exposeString('model', { nullable: true, description: 'Its name; null for the embedded one.' }),
    otherModels: t.stringList({
      description: 'Further ones that clients may name.',
      resolve: ({ otherModels }) => [...otherModels],
    }),
    baseUrl: t.exposeString('baseUrl', { nullable: true, description: 'The address of its server; null: none.' }),
    apiKeyConfigured: t.exposeBoolean('apiKeyConfigured', { description: 'Whether there is a key for it.' }),
    contextTokens: t.exposeInt('contextTokens', { description: 'Tokens that it reads at most.' }),
    vision: t.exposeBoolean('sees', { description: 'Whether it reads images.' }),
  }),
});

const ServerSettings = builder.objectRef<Server>('ServerSettings').implement({
  description:
    'What the environment of the server says, for who administers it. It is read at the start, and holds until the next. No secret is among it.',
  fields: (t) => ({
    languageModel: t.field({
      type: LanguageModelSettings,
      description: 'The language model.',
      resolve: ({ languageModel }) => languageModel,
    }),
    embeddingModel: t.field({
      type: ServedModel,
      nullable: true,
      description: 'The model that embeds texts; null: search is by words alone.',
      resolve: ({ embeddingModel }) => embeddingModel,
    }),
    imageModel: t.field({
      type: ServedModel,
      nullable: true,
      description: 'The model that draws; null: none.',
      resolve: ({ imageModel }) => imageModel,
    }),
    ownPassword: t.exposeBoolean('ownPassword', {
      description: 'Whether the server has a password of its own, for as long as there are no people.',
    }),
    hasPassages: t.boolean({
      description: 'Whether there is a document to search.',
      resolve: (_settings, _args, { services }) => services.serverSettings.hasPassages(),
    }),
  }),
});

const clearPreferences = clearField('ClearablePreference', {
  supportEmail: 'Removes the support address.',
  appName: 'Removes the name of the server.',
  pageTitle: 'Removes the title of the pages.',
  pageFavicon: 'Removes the favicon of the pages.',
  logoFileName: 'Removes the logo of the pages.',
  defaultSystemPrompt: 'Goes back to the built-in system prompt.',
  maxTokenLifetimeDays: 'Lifts the maximum lifetime of new keys and tokens.',
  defaultTokenLifetimeDays: 'Removes the default lifetime of new keys and tokens.',
});

const UpdatePreferencesInput = builder.inputType('UpdatePreferencesInput', {
  description:
    'Input for `updatePreferences`. A field that is null or absent stays unchanged. An empty text or list clears its field.',
  fields: (t) => ({
    supportEmail: t.string({ description: 'Whom people write to for help: an e-mail address.' }),
    appName: t.string({ description: 'What clients call the server, at most 100 characters.' }),
    pageTitle: t.string({ description: 'The title of a client’s pages, at most 200 characters.' }),
    pageFavicon: t.string({ description: 'The address of their symbol: http or https.' }),
    logoFileName: t.string({ description: 'The name of their logo’s file, without a folder.' }),
    footerLinks: t.field({ type: [FooterLinkInput], description: 'Links at the foot of their pages, at most 3.' }),
    defaultSystemPrompt: t.string({
      description: 'The system prompt of new agents of the workspace paths, at most 100,000 characters.',
    }),
    maxTokenLifetimeDays: t.int({
      description:
        'Maximum lifetime of keys and tokens, in days, 1 to 3650. Applies to new ones and to changes of an expiry; existing ones keep their expiry.',
    }),
    defaultTokenLifetimeDays: t.int({
      description:
        'Lifetime, in days, 1 to 3650, of a new key or token whose creator gives none. At most the maximum lifetime.',
    }),
    clear: clearPreferences(t),
  }),
});

const UpdatePreferencesPayload = builder.objectRef<StoredPreferences>('UpdatePreferencesPayload').implement({
  description: 'What `updatePreferences` changed.',
  fields: (t) => ({
    preferences: t.field({
      type: Preferences,
      description: 'All preferences as they are now.',
      resolve: (preferences) => preferences,
    }),
  }),
});

builder.queryFields((t) => ({
  preferences: t.field({
    type: Preferences,
    authScopes: { permission: 'manage:settings' },
    description: 'How the server presents itself.',
    resolve: (_root, _args, { services }) => services.serverSettings.preferences(),
  }),
  serverSettings: t.field({
    type: ServerSettings,
    authScopes: { permission: 'manage:settings' },
    description: 'What the environment of the server says. Nothing of it is changed while the server runs.',
    resolve: (_root, _args, { services }) => services.serverSettings.server(),
  }),
}));

builder.mutationField('updatePreferences', (t) =>
  t.field({
    type: UpdatePreferencesPayload,
    authScopes: { permission: 'manage:settings' },
    description: 'Changes how the server presents itself.',
    args: { input: t.arg({ type: UpdatePreferencesInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { principal, services }) =>
      services.serverSettings.updatePreferences(signedIn(principal), input),
  }),
);

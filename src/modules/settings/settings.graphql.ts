import { builder } from '../../graphql/builder.ts';
import { clearField } from '../../graphql/clear-input.ts';
import { ModelProviderType } from '../chat/provider.graphql.ts';
import type { ServerSettings as Server, Preferences as StoredPreferences } from './settings.service.ts';

interface Link {
  icon: string;
  url: string;
}

const FooterLink = builder.objectRef<Link>('FooterLink').implement({
  description: 'A link in the footer of the pages of clients.',
  fields: (t) => ({
    icon: t.exposeString('icon', { description: 'The name of an icon that the client has.' }),
    url: t.exposeString('url', { description: 'The http or https URL of the link.' }),
  }),
});

const FooterLinkInput = builder.inputType('FooterLinkInput', {
  description: 'A link for the footer of the pages of clients.',
  fields: (t) => ({
    icon: t.string({ required: true, description: 'The name of an icon that the client has.' }),
    url: t.string({ required: true, description: 'The http or https URL of the link; at most 2,000 characters.' }),
  }),
});

const Preferences = builder.objectRef<StoredPreferences>('Preferences').implement({
  description: 'The appearance of the server in clients, and the defaults for new agents, keys and tokens.',
  fields: (t) => ({
    supportEmail: t.exposeString('supportEmail', { nullable: true, description: 'The e-mail address for support.' }),
    appName: t.exposeString('appName', { nullable: true, description: 'The name of the server in clients.' }),
    pageTitle: t.exposeString('pageTitle', { nullable: true, description: 'The title of the pages of clients.' }),
    pageFavicon: t.exposeString('pageFavicon', {
      nullable: true,
      description: 'The URL of the favicon of these pages.',
    }),
    logoFileName: t.exposeString('logoFileName', {
      nullable: true,
      description: 'The file name of the logo of these pages.',
    }),
    footerLinks: t.field({
      type: [FooterLink],
      listSize: 3,
      description: 'The links in the footer of these pages.',
      resolve: ({ footerLinks }) => footerLinks,
    }),
    defaultSystemPrompt: t.exposeString('defaultSystemPrompt', {
      nullable: true,
      description: 'The system prompt of new agents that are created on the AnythingLLM paths.',
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
  description: 'A model that another server provides.',
  fields: (t) => ({
    model: t.exposeString('model', { description: 'The name of the model.' }),
    baseUrl: t.exposeString('baseUrl', { description: 'The base URL of the other server.' }),
    apiKeyConfigured: t.exposeBoolean('apiKeyConfigured', {
      description: 'Whether a key for the other server is configured.',
    }),
  }),
});

const LanguageModelSettings = builder.objectRef<Server['languageModel']>('LanguageModelSettings').implement({
  description: 'The language model that writes the answers.',
  fields: (t) => ({
    provider: t.expose('provider', { type: ModelProviderType, description: 'The provider of the model.' }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The name of the model; null for the built-in model.',
    }),
    otherModels: t.stringList({
      description: 'The names of further models that clients can choose.',
      resolve: ({ otherModels }) => [...otherModels],
    }),
    baseUrl: t.exposeString('baseUrl', {
      nullable: true,
      description: 'The base URL of the provider; null for the built-in model.',
    }),
    apiKeyConfigured: t.exposeBoolean('apiKeyConfigured', {
      description: 'Whether a key for the other server is configured.',
    }),
    contextTokens: t.exposeInt('contextTokens', { description: 'The size of the context window, in tokens.' }),
    vision: t.exposeBoolean('sees', { description: 'Whether the model can read images.' }),
  }),
});

const ServerSettings = builder.objectRef<Server>('ServerSettings').implement({
  description: 'The settings that the server read from its environment at the start, without secrets.',
  fields: (t) => ({
    languageModel: t.field({
      type: LanguageModelSettings,
      description: 'The settings of the language model.',
      resolve: ({ languageModel }) => languageModel,
    }),
    embeddingModel: t.field({
      type: ServedModel,
      nullable: true,
      description: 'The model that embeds texts; null if the server searches only by words.',
      resolve: ({ embeddingModel }) => embeddingModel,
    }),
    imageModel: t.field({
      type: ServedModel,
      nullable: true,
      description: 'The model that generates images; null if there is no image model.',
      resolve: ({ imageModel }) => imageModel,
    }),
    ownPassword: t.exposeBoolean('ownPassword', {
      description: 'Whether the server has a shared password, which is possible until the first person has an account.',
    }),
    hasPassages: t.boolean({
      description: 'Whether the server has at least one searchable document.',
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
  defaultSystemPrompt: 'Restores the built-in system prompt.',
  maxTokenLifetimeDays: 'Removes the maximum lifetime of new keys and tokens.',
  defaultTokenLifetimeDays: 'Removes the default lifetime of new keys and tokens.',
});

const UpdatePreferencesInput = builder.inputType('UpdatePreferencesInput', {
  description:
    'Input for `updatePreferences`. A field that is null or absent stays unchanged. An empty text or list clears its field.',
  fields: (t) => ({
    supportEmail: t.string({ description: 'The e-mail address for support.' }),
    appName: t.string({ description: 'The name of the server in clients; at most 100 characters.' }),
    pageTitle: t.string({ description: 'The title of the pages of clients; at most 200 characters.' }),
    pageFavicon: t.string({ description: 'The http or https URL of the favicon of these pages.' }),
    logoFileName: t.string({ description: 'The file name of the logo of these pages, without a folder.' }),
    footerLinks: t.field({
      type: [FooterLinkInput],
      description: 'The links in the footer of these pages; at most 3.',
    }),
    defaultSystemPrompt: t.string({
      description:
        'The system prompt of new agents that are created on the AnythingLLM paths; at most 100,000 characters.',
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
  description: 'Result of the mutation `updatePreferences`.',
  fields: (t) => ({
    preferences: t.field({
      type: Preferences,
      description: 'All preferences after the change.',
      resolve: (preferences) => preferences,
    }),
  }),
});

builder.queryFields((t) => ({
  preferences: t.field({
    type: Preferences,
    authScopes: { permission: 'manage:settings' },
    description: 'The preferences of the server.',
    resolve: (_root, _args, { services }) => services.serverSettings.preferences(),
  }),
  serverSettings: t.field({
    type: ServerSettings,
    authScopes: { permission: 'manage:settings' },
    description: 'The settings from the environment of the server, which do not change while it runs.',
    resolve: (_root, _args, { services }) => services.serverSettings.server(),
  }),
}));

builder.mutationField('updatePreferences', (t) =>
  t.withAuth({ permission: 'manage:settings' }).field({
    type: UpdatePreferencesPayload,
    description: 'Changes the preferences of the server.',
    args: { input: t.arg({ type: UpdatePreferencesInput, required: true, description: 'The preferences to change.' }) },
    resolve: (_root, { input }, { principal, services }) => services.serverSettings.updatePreferences(principal, input),
  }),
);

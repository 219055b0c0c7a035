import { z } from 'zod';
import type { ModelProvider } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import type { Prisma } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { plainText } from '../../zod-types.ts';
import { type AuditService, by } from '../audit/audit.service.ts';
import { changesOf, clearList } from '../changes.ts';

/** Maximum number of footer links. */
const maxLinks = 3;

/** An http or https URL: a client would execute other schemes. */
const webAddress = plainText(2000).pipe(z.url({ protocol: /^https?$/, error: 'must be an HTTP or HTTPS URL' }));
const FooterLink = z.object({ icon: plainText(100), url: webAddress });

/** Maximum lifetime of credentials in days, the same as for personal access tokens. */
const maxLifetimeDays = 3650;
const lifetimeDays = z
  .number()
  .int('must be a whole number')
  .min(1, `must be 1 to ${maxLifetimeDays}`)
  .max(maxLifetimeDays, `must be 1 to ${maxLifetimeDays}`);

const Preferences = z.object({
  supportEmail: plainText(254).pipe(z.email('must be an e-mail address')).nullable(),
  appName: plainText(100).trim().nullable(),
  pageTitle: plainText(200).trim().nullable(),
  pageFavicon: webAddress.nullable(),
  logoFileName: plainText(255)
    .regex(/^[^/\\]*$/, 'must be a file name without a folder')
    .nullable(),
  footerLinks: z.array(FooterLink).max(maxLinks),
  defaultSystemPrompt: plainText(100_000).nullable(),
  maxTokenLifetimeDays: lifetimeDays.nullable(),
  defaultTokenLifetimeDays: lifetimeDays.nullable(),
});
const StoredPreferences = Preferences.partial();
const UpdatePreferences = z.object({
  ...(Object.fromEntries(Object.entries(Preferences.shape).map(([name, type]) => [name, type.nullish()])) as {
    [Name in keyof typeof Preferences.shape]: z.ZodOptional<z.ZodNullable<(typeof Preferences.shape)[Name]>>;
  }),
  clear: clearList([
    'supportEmail',
    'appName',
    'pageTitle',
    'pageFavicon',
    'logoFileName',
    'defaultSystemPrompt',
    'maxTokenLifetimeDays',
    'defaultTokenLifetimeDays',
  ]),
});

/** Throws BAD_USER_INPUT when the default lifetime of credentials is longer than the maximum lifetime. */
function checkLifetimes({ maxTokenLifetimeDays: max, defaultTokenLifetimeDays: days }: Preferences): void {
  if (max !== null && days !== null && days > max)
    throw badInput(['input', 'defaultTokenLifetimeDays'], `must not exceed the maximum lifetime of ${max} days`);
}

/**
 * The server's preferences: its presentation in clients, the defaults of new agents and the lifetimes of new
 * credentials.
 */
export type Preferences = z.output<typeof Preferences>;
/** Fields that are null or absent are left unchanged; an empty text clears a field, like the `clear` list. */
export type UpdatePreferencesInput = z.input<typeof UpdatePreferences>;

/** The key of the setting that stores them. */
const key = 'preferences';
const unset: Preferences = {
  supportEmail: null,
  appName: null,
  pageTitle: null,
  pageFavicon: null,
  logoFileName: null,
  footerLinks: [],
  defaultSystemPrompt: null,
  maxTokenLifetimeDays: null,
  defaultTokenLifetimeDays: null,
};

/** Returns the stored preferences. */
export async function readPreferences({ setting }: Pick<Prisma.TransactionClient, 'setting'>): Promise<Preferences> {
  const row = await setting.findUnique({ where: { key } });
  return { ...unset, ...StoredPreferences.parse(row?.value ?? {}) };
}

/** Facts about this server for administrators, without secrets. */
export interface ServerSettings {
  languageModel: {
    provider: ModelProvider;
    model: string | null;
    otherModels: readonly string[];
    baseUrl: string | null;
    apiKeyConfigured: boolean;
    contextTokens: number;
    sees: boolean;
  };
  embeddingModel: { model: string; baseUrl: string; apiKeyConfigured: boolean } | null;
  imageModel: { model: string; baseUrl: string; apiKeyConfigured: boolean } | null;
  ownPassword: boolean;
  registration: Settings['registration'];
}

interface SettingsServiceDeps {
  db: Database;
  audit: AuditService;
  settings: Settings;
}

const served = (model: { model: string; baseUrl: string; apiKey: string | undefined } | null) =>
  model && {
    model: model.model,
    baseUrl: model.baseUrl,
    apiKeyConfigured: model.apiKey !== undefined,
  };

/**
 * Creates the service for the settings of the server: its environment, which cannot be changed at run time, and its
 * preferences.
 */
export function createSettingsService({ db, audit, settings }: SettingsServiceDeps) {
  const { model } = settings;
  return {
    /** Returns the environment as it was at startup. */
    server: (): ServerSettings => ({
      languageModel: {
        provider: model.provider,
        model: model.model ?? null,
        otherModels: model.others,
        baseUrl: model.baseUrl ?? null,
        apiKeyConfigured: model.apiKey !== undefined,
        contextTokens: model.contextTokens,
        sees: model.sees,
      },
      embeddingModel: served(settings.embeddings),
      imageModel: served(settings.images),
      ownPassword: settings.authToken !== undefined,
      registration: settings.registration,
    }),

    /** Returns whether there is a document with passages. */
    hasPassages: async (): Promise<boolean> => (await db.prisma.chunk.findFirst({ select: { id: true } })) !== null,

    preferences: (): Promise<Preferences> => readPreferences(db.prisma),

    /**
     * Changes the given fields. A prompt has at most 100,000 characters, a name 100, a title 200, a URL 2000; at most
     * three links. Throws BAD_USER_INPUT, also for an empty input.
     */
    async updatePreferences(principal: Principal, input: UpdatePreferencesInput): Promise<Preferences> {
      const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== ''));
      const emptied = Object.entries(input).flatMap(([name, value]) => (value === '' ? [name] : []));
      const changes = changesOf(parse(UpdatePreferences, { ...given, clear: [...(input.clear ?? []), ...emptied] }));
      const changed = Object.keys(changes).sort();
      if (changed.length === 0) throw badInput(['input'], 'must contain at least one change');
      return db.prisma.$transaction(async (transaction) => {
        // Concurrent changes of different fields are both applied.
        await transaction.$executeRaw`
          INSERT INTO "Setting" ("key", "value", "updatedAt") VALUES (${key}, '{}', now()) ON CONFLICT DO NOTHING`;
        await transaction.$queryRaw`SELECT 1 FROM "Setting" WHERE "key" = ${key} FOR UPDATE`;
        const value: Preferences = { ...(await readPreferences(transaction)), ...changes };
        checkLifetimes(value);
        await transaction.setting.update({ where: { key }, data: { value: { ...value } } });
        await audit.record(transaction, {
          ...by(principal),
          action: 'preferences.update',
          target: { type: 'Setting', id: key },
          detail: { changed },
        });
        return value;
      });
    },
  };
}

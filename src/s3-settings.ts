import { z } from 'zod';
import { baseUrl, flag, headerText, text } from './setting-types.ts';

/** The settings of a bucket that stores the bytes of files. */
export const s3Variables = {
  S3_BUCKET: text
    .regex(
      /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i,
      'must be the name of a bucket: 3 to 63 letters, digits, dots and hyphens',
    )
    .optional(),
  S3_ENDPOINT: baseUrl.optional(),
  S3_REGION: text.regex(/^[\w-]+$/, 'must be the name of a region, such as eu-central-1').optional(),
  S3_ACCESS_KEY_ID: headerText.optional(),
  S3_SECRET_ACCESS_KEY: headerText.optional(),
  S3_PREFIX: text
    .regex(
      /^[\w.-]+(\/[\w.-]+)*\/?$/,
      'must be folders of letters, digits, dots, hyphens and underscores, such as latchkey/files',
    )
    .refine((prefix) => !prefix.split('/').some((part) => /^\.+$/.test(part)), 'must not contain . or .. as a folder')
    .optional(),
  S3_FORCE_PATH_STYLE: flag.optional(),
};

const shape = z.object(s3Variables);
type S3Environment = z.output<typeof shape>;

/** A bucket that stores the bytes of files, and the credential for it. */
export interface S3Settings {
  bucket: string;
  /** The address of the S3 API without a trailing slash. */
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** The beginning of every key; empty, or with a trailing slash. */
  prefix: string;
  /** Whether the bucket is part of the path and not of the host name. */
  isPathStyle: boolean;
}

/** Returns the problems of settings that are valid one by one but incomplete together. */
export function s3Problems(env: S3Environment): { name: string; message: string }[] {
  if (env.S3_BUCKET === undefined)
    return Object.keys(s3Variables)
      .filter((name) => env[name as keyof S3Environment] !== undefined)
      .map((name) => ({ name, message: 'requires S3_BUCKET' }));
  return (['S3_REGION', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const)
    .filter((name) => env[name] === undefined)
    .map((name) => ({ name, message: 'is required with S3_BUCKET' }));
}

/** Returns the bucket of complete settings, or null when files are stored in a folder. */
export function s3Settings(env: S3Environment): S3Settings | null {
  if (env.S3_BUCKET === undefined) return null;
  const region = env.S3_REGION as string;
  return {
    bucket: env.S3_BUCKET,
    endpoint: env.S3_ENDPOINT ?? `https://s3.${region}.amazonaws.com`,
    region,
    accessKeyId: env.S3_ACCESS_KEY_ID as string,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY as string,
    prefix: env.S3_PREFIX ? `${env.S3_PREFIX.replace(/\/$/, '')}/` : '',
    isPathStyle: env.S3_FORCE_PATH_STYLE ?? env.S3_ENDPOINT !== undefined,
  };
}

import { z } from 'zod';

/** A widget by its integer ID or by its UUID. */
export type WidgetKey = { id: number } | { uuid: string };

/** Returns a UUID in lower case, or null for any other text. */
export const uuidOf = (text: string): string | null => z.uuid().safeParse(text).data?.toLowerCase() ?? null;

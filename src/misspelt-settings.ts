import { settingNames } from './settings.ts';

/** Words that people put around the name of a setting. */
const fillers = new Set(['LATCHKEY', 'ENABLE', 'ENABLED', 'DISABLE', 'DISABLED', 'ALLOW', 'USE', 'SET', 'ON', 'MODE']);

/** The names of one word of four letters, such as PORT and HOST, resemble too many others. */
const shortest = 6;

/** What a container platform sets for a service of this name: `LATCHKEY_PORT=tcp://10.0.0.1:4000`. */
const isOfPlatform = (value: string): boolean => /^(tcp|udp):\/\//.test(value);

/** A name without what people vary: case, separators, filler words. */
function wordsOf(name: string): string[] {
  const words = name
    .toUpperCase()
    .split(/[^A-Z0-9]+/)
    .filter(Boolean);
  const rest = words.filter((word) => !fillers.has(word));
  return rest.length > 0 ? rest : words;
}

const singular = (word: string): string => word.replace(/IES$/, 'Y').replace(/S$/, '');

/** The number of letters to insert, delete, replace or swap with their neighbor (optimal string alignment). */
export function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      let cost = Math.min((last[column] as number) + 1, (current[column - 1] as number) + 1);
      cost = Math.min(cost, (last[column - 1] as number) + (same ? 0 : 1));
      if (row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1])
        cost = Math.min(cost, (before[column - 2] as number) + 1);
      current.push(cost);
    }
    before = last;
    last = current;
  }
  return last[other.length] as number;
}

/** Returns whether two words differ by at most this many letters. Compares lengths first: most words differ in length. */
const isWithin = (one: string, other: string, most: number): boolean =>
  Math.abs(one.length - other.length) <= most && editDistance(one, other) <= most;

/** The mistakes that a word may have: `DATABASE_USER` must not be taken for `DATABASE_URL`. */
const tolerance = (word: string): number => (word.length < 4 ? 0 : word.length < 6 ? 1 : 2);

function resembles(name: string, setting: string): boolean {
  const [words, wanted] = [wordsOf(name), wordsOf(setting)];
  const [joined, wantedJoined] = [words.join(''), wanted.join('')];
  if (joined === wantedJoined) return true;
  if (wantedJoined.length < shortest) return false;
  // Before filler words are ignored: IMAGE_MODE is IMAGE_MODEL without its last letter.
  if (setting.length > 8 && isWithin(name.toUpperCase(), setting, 1)) return true;
  if (words.map(singular).join('') === wanted.map(singular).join('')) return true;
  if (wantedJoined.length > shortest && isWithin(joined, wantedJoined, 1)) return true;
  return (
    words.length === wanted.length &&
    wanted.every((word, index) => isWithin(words[index] as string, word, tolerance(word)))
  );
}

export interface MisspeltSetting {
  /** The environment variable, which is not a setting. */
  name: string;
  /** The setting that it resembles most. */
  setting: string;
}

/**
 * Finds the variables of an environment that look like a misspelt setting. A variable that resembles a setting which is
 * set as well is taken to be meant as it is.
 */
export function misspeltSettings(environment: Record<string, string | undefined>): MisspeltSetting[] {
  const known = new Set(settingNames);
  const missing = settingNames.filter((setting) => !environment[setting]);
  return Object.entries(environment).flatMap(([name, value = '']) => {
    if (known.has(name) || /^npm_/i.test(name) || isOfPlatform(value)) return [];
    const [setting] = missing
      .filter((setting) => resembles(name, setting))
      .sort((one, other) => editDistance(name, one) - editDistance(name, other));
    return setting ? [{ name, setting }] : [];
  });
}

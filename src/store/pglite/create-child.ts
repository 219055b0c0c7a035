import { openLite, reasonOf } from './open-lite.ts';
import type { FromCreation } from './requests.ts';

/**
 * The process that creates the files of an embedded database in an empty folder, and exits. Ends together with the
 * server: the server never waits for files of a process that another server started.
 */
process.on('disconnect', () => process.exit(1));

const [folder = ''] = process.argv.slice(2);
try {
  const lite = await openLite(folder);
  await lite.close();
  process.exit(0);
} catch (error) {
  const message: FromCreation = { failed: reasonOf(error) };
  process.send?.(message, () => process.exit(1));
}

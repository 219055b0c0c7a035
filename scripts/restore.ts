// Restores a backup to the empty database and the empty DATA_DIR of this server's settings.
//
// usage: npm run restore -- <folder>
import { runBackupCommand } from '../src/backup/command.ts';
import { restoreBackup } from '../src/backup/restore.ts';

const command = { usage: 'npm run restore -- <folder>', work: restoreBackup, done: 'Restored the backup' };
process.exit(await runBackupCommand(command, process.argv.slice(2)));

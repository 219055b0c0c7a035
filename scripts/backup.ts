// Writes a backup of the database and the files of this server's settings to a new folder.
//
// usage: npm run backup -- <folder>
import { createBackup } from '../src/backup/backup.ts';
import { runBackupCommand } from '../src/backup/command.ts';

const command = { usage: 'npm run backup -- <folder>', work: createBackup, done: 'Wrote the backup' };
process.exit(await runBackupCommand(command, process.argv.slice(2)));

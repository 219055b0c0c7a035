import type { Changes } from '../changes.ts';
import type { Instance } from './instance.ts';
import { Script } from './script.ts';

const announceScript = new Script(`
  redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
  redis.call('PUBLISH', ARGV[2], '')
  return 1`);

/** The changes of all instances: a version per topic, which each instance compares with the one that it has loaded. */
export function redisChanges(instance: Instance): Changes {
  const topics = new Map<string, { loaded: string | undefined; loading: boolean; reload: () => Promise<void> }>();
  /** Topics whose announcement failed. */
  const unannounced = new Set<string>();
  let versions: ReadonlyMap<string, string> = new Map();

  async function announce(topic: string): Promise<void> {
    try {
      await instance.redis.run(announceScript, [instance.key('versions')], [topic, instance.key('all')]);
      unannounced.delete(topic);
    } catch {
      unannounced.add(topic);
    }
  }

  instance.onSync((synced) => {
    versions = synced.versions;
    for (const topic of unannounced) void announce(topic);
    for (const [name, topic] of topics) {
      const version = versions.get(name);
      if (version === topic.loaded || topic.loading) continue;
      topic.loading = true;
      topic
        .reload()
        .then(
          () => (topic.loaded = version),
          // Repeated with the next heartbeat.
          () => {},
        )
        .finally(() => {
          topic.loading = false;
        });
    }
  });

  return {
    announce,
    follow: (name, reload) => void topics.set(name, { loaded: versions.get(name), loading: false, reload }),
  };
}

import { keepLimits } from '../runs.ts';
import type { Instance } from './instance.ts';
import type { FoundRun } from './remote-run.ts';
import type { PublishedRun } from './run-publisher.ts';
import { Script } from './script.ts';

/*
 * A run is a hash with its properties and a list of its events as JSON. The finished runs are a sorted set by the time of
 * their end, with a hash of their sizes.
 */

/**
 * Appends events from an index. Returns the number of events that Redis has, which is less than the index when it lost
 * earlier ones: then the events are not appended. An end moves the run to the finished ones and drops those beyond the limits.
 */
const appendScript = new Script(`
  local run, events, session, finished, sizes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
  local prefix, ttl, from, ended = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
  local meta = cjson.decode(ARGV[5])
  local length = redis.call('LLEN', events)
  local isNew = redis.call('EXISTS', run) == 0
  if length < from then return length end
  for index = 9 + length - from, #ARGV do redis.call('RPUSH', events, ARGV[index]) end
  redis.call('HSET', run, 'owner', meta.owner, 'session', meta.sessionId, 'user', meta.userId, 'message', meta.messageId,
    'ended', ended)
  redis.call('HSETNX', run, 'project', meta.project)
  if isNew then redis.call('SET', session, meta.id, 'PX', ttl)
  elseif redis.call('GET', session) == meta.id then redis.call('PEXPIRE', session, ttl) end
  redis.call('PEXPIRE', run, ttl)
  redis.call('PEXPIRE', events, ttl)
  redis.call('PUBLISH', prefix .. 'run:' .. meta.id, '')
  if ended == '1' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZADD', finished, now, meta.id)
    redis.call('HSET', sizes, meta.id, ARGV[6])
    local total = 0
    for _, size in ipairs(redis.call('HVALS', sizes)) do total = total + size end
    local count = redis.call('ZCARD', finished)
    for _, id in ipairs(redis.call('ZRANGE', finished, 0, -1)) do
      local isOld = tonumber(redis.call('ZSCORE', finished, id)) < now - ttl
      if not isOld and count <= tonumber(ARGV[7]) and total <= tonumber(ARGV[8]) then break end
      total = total - (redis.call('HGET', sizes, id) or 0)
      count = count - 1
      redis.call('ZREM', finished, id)
      redis.call('HDEL', sizes, id)
      redis.call('DEL', prefix .. 'run:' .. id, prefix .. 'events:' .. id)
    end
  end
  return redis.call('LLEN', events)`);

/** Appends events of a run from an index. Returns the number of events that Redis has. Throws RedisUnavailableError. */
export async function appendEvents(
  instance: Instance,
  run: PublishedRun,
  from: number,
  events: readonly string[],
): Promise<number> {
  const meta = { ...run, project: run.projectId === null ? '' : String(run.projectId) };
  const keys = [`run:${run.id}`, `events:${run.id}`, `session:${run.sessionId}`, 'finished', 'finished-sizes'];
  const { milliseconds, runs, characters } = keepLimits;
  return (await instance.redis.run(
    appendScript,
    keys.map((name) => instance.key(name)),
    [
      instance.key(''),
      milliseconds,
      from,
      run.ended ? 1 : 0,
      JSON.stringify(meta),
      run.characters,
      runs,
      characters,
      ...events,
    ],
  )) as number;
}

const findScript = new Script(`
  local id = ARGV[2]
  if ARGV[3] == 'session' then id = redis.call('GET', ARGV[1] .. 'session:' .. id) end
  if not id or redis.call('EXISTS', ARGV[1] .. 'run:' .. id) == 0 then return false end
  local meta = redis.call('HMGET', ARGV[1] .. 'run:' .. id, 'owner', 'session', 'user', 'message', 'project', 'ended')
  return { id, meta, redis.call('LLEN', ARGV[1] .. 'events:' .. id) }`);

type FindReply = [string, [string, string, string, string, string, string], number] | null;

/** Finds a run by its ID, or the last run of a session. Throws RedisUnavailableError. */
export async function findRun(instance: Instance, by: 'run' | 'session', id: string): Promise<FoundRun | null> {
  const reply = (await instance.redis.run(findScript, [], [instance.key(''), id, by])) as FindReply;
  if (!reply) return null;
  const [runId, [owner, sessionId, userId, message, project, ended], length] = reply;
  return {
    id: runId,
    owner,
    sessionId,
    userId,
    messageId: Number(message),
    projectId: project === '' ? null : Number(project),
    ended: ended === '1',
    length,
  };
}

const readScript = new Script(`
  local meta = redis.call('HMGET', KEYS[1], 'project', 'ended')
  return { meta, redis.call('LLEN', KEYS[2]), redis.call('LRANGE', KEYS[2], ARGV[1], ARGV[2]) }`);

/** The state of a run and some of its events. */
export interface RunPage {
  /** False when the run is not kept any more. */
  exists: boolean;
  projectId: number | null;
  ended: boolean;
  length: number;
  events: string[];
}

/** Number of events that are read at a time. */
const pageSize = 500;

/** Reads events of a run from an index. Throws RedisUnavailableError. */
export async function readEvents(instance: Instance, id: string, from: number): Promise<RunPage> {
  const keys = [instance.key('run', id), instance.key('events', id)];
  const reply = await instance.redis.run(readScript, keys, [from, from + pageSize - 1]);
  const [[project, ended], length, events] = reply as [[string | null, string | null], number, string[]];
  const projectId = project === null || project === '' ? null : Number(project);
  return { exists: ended !== null, projectId, ended: ended === '1', length, events };
}

const projectScript = new Script(`
  local id = redis.call('GET', KEYS[1])
  if not id or redis.call('EXISTS', ARGV[1] .. 'run:' .. id) == 0 then return false end
  redis.call('HSET', ARGV[1] .. 'run:' .. id, 'project', ARGV[2])
  return redis.call('HGET', ARGV[1] .. 'run:' .. id, 'owner')`);

/** Sets the project of the last run of a session and returns the instance that executes it. Throws RedisUnavailableError. */
export async function setRunProject(
  instance: Instance,
  sessionId: string,
  projectId: number | null,
): Promise<string | null> {
  const values = [instance.key(''), projectId ?? ''];
  return (await instance.redis.run(projectScript, [instance.key('session', sessionId)], values)) as string | null;
}

const abandonedScript = new Script(`
  local abandoned = {}
  for index = 2, #ARGV do
    local meta = redis.call('HMGET', ARGV[1] .. 'run:' .. ARGV[index], 'owner', 'ended')
    local isActive = meta[1] and meta[2] == '0' and redis.call('EXISTS', ARGV[1] .. 'instance:' .. meta[1]) == 1
    if not isActive then table.insert(abandoned, ARGV[index]) end
  end
  return abandoned`);

/** Returns the runs that no living instance executes. Throws RedisUnavailableError. */
export const findAbandoned = async (instance: Instance, ids: readonly string[]): Promise<string[]> =>
  (await instance.redis.run(abandonedScript, [], [instance.key(''), ...ids])) as string[];

const renewScript = new Script(`
  local session = redis.call('HGET', KEYS[1], 'session')
  if not session then return 0 end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', ARGV[2] .. 'session:' .. session, ARGV[1])
  return 1`);

/** Keeps the keys of an active run for this time. Throws RedisUnavailableError. */
export const renewRun = (instance: Instance, id: string, milliseconds: number): Promise<unknown> =>
  instance.redis.run(
    renewScript,
    [instance.key('run', id), instance.key('events', id)],
    [milliseconds, instance.key('')],
  );

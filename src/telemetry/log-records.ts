/** A line of the log as OpenTelemetry describes it. */
interface LogRecord<Severity> {
  timestamp: Date;
  severityNumber: Severity;
  severityText: string;
  body: string;
  attributes: Record<string, string | number | boolean>;
}

const names: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

/** Returns the attributes of the properties of a line. An error becomes its type, its message and its stack. */
function attributesOf(properties: Record<string, unknown>): LogRecord<unknown>['attributes'] {
  const { error, ...rest } = properties;
  const attributes: LogRecord<unknown>['attributes'] = {};
  for (const [name, value] of Object.entries(rest))
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') attributes[name] = value;
  const { type, message, stack } = (error ?? {}) as Record<string, unknown>;
  for (const [name, value] of Object.entries({ type, message, stacktrace: stack }))
    if (typeof value === 'string') attributes[`exception.${name}`] = value;
  return attributes;
}

/**
 * Converts a line of the log, from which secrets are already removed. `severities` has the severity of each level. Returns
 * null for text that is no line of the log.
 */
export function logRecordOf<Severity>(
  line: string,
  severities: Record<number, Severity>,
): LogRecord<Severity | undefined> | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  // The trace is that of the record.
  const { level, time, msg, traceId: _, ...properties } = parsed as Record<string, unknown>;
  return {
    timestamp: new Date(String(time)),
    severityNumber: severities[Number(level)],
    severityText: names[Number(level)] ?? '',
    body: String(msg ?? ''),
    attributes: attributesOf(properties),
  };
}

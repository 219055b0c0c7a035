// Streams an answer with the OpenAI SDK. A model is the slug of an agent; `default` is the built-in agent.
import OpenAI from 'openai';

const server = process.env.LATCHKEY_URL ?? 'http://127.0.0.1:4000';
const client = new OpenAI({ baseURL: `${server}/api/v1/openai`, apiKey: process.env.KEY });

const { data: models } = await client.models.list();
console.log(`Models: ${models.map(({ id }) => id).join(', ')}`);

const stream = await client.chat.completions.create({
  model: 'default',
  messages: [{ role: 'user', content: process.argv[2] ?? 'What can a basic key do?' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
process.stdout.write('\n');

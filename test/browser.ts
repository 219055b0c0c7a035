import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { type Answer, until } from './kit.ts';

/** A result from the browser. */
export type Payload = Answer['body'];

/** The first installed browser; undefined when none is installed. */
export const browserFile: string | undefined = (() => {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const places = (process.env.PATH ?? '').split(':').flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env.CHROMIUM_PATH, ...places].find((file) => {
    try {
      if (file) accessSync(file, constants.X_OK);
      return Boolean(file);
    } catch {
      return false;
    }
  });
})();

/** A page that is open in a tab of the browser. */
export interface Tab {
  /** Opens a URL and waits until it has loaded. */
  open(url: string): Promise<void>;
  /** Returns the value of an expression, after its promise has settled. */
  evaluate(expression: string): Promise<Payload>;
  /** Clicks on the element that a selector finds. */
  click(selector: string): Promise<void>;
  /** Types a text into the focused element. */
  type(text: string): Promise<void>;
  /** Calls a method of the DevTools protocol. */
  call(method: string, params?: object): Promise<Payload>;
  close(): Promise<void>;
}

export interface Browser {
  newTab(): Promise<Tab>;
  /** Opens a page in a new tab and returns the final value of its `result`. */
  visit(url: string): Promise<Payload>;
  close(): Promise<void>;
}

/** Starts a browser and controls it through the DevTools protocol. */
export async function startBrowser(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'latchkey-browser-'));
  const child: ChildProcess = spawn(
    browserFile as string,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const endpoint = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stderr?.on('data', (chunk) => {
      output += chunk;
      const url = /ws:\/\/\S+/.exec(output)?.[0];
      if (url) resolve(url);
    });
    void exited.then(() => reject(new Error(`The browser exited: ${output}`)));
  });
  const socket = new WebSocket(endpoint);
  await once(socket, 'open');
  const waiting = new Map<number, (message: Payload) => void>();
  const events: Payload[] = [];
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.id === undefined) events.push(message);
    waiting.get(message.id)?.(message);
  });
  let sent = 0;
  const call = async (method: string, params: object, sessionId?: string): Promise<Payload> => {
    const id = ++sent;
    const answer = new Promise<Payload>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };

  async function newTab(): Promise<Tab> {
    const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    const inTab = (method: string, params: object = {}) => call(method, params, sessionId);
    await inTab('Page.enable');
    await inTab('Page.setLifecycleEventsEnabled', { enabled: true });
    const evaluate = async (expression: string): Promise<Payload> => {
      const { result, exceptionDetails } = await inTab('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    };
    return {
      call: inTab,
      evaluate,
      async open(url) {
        const { loaderId } = await inTab('Page.navigate', { url });
        // The event of that page, and not of the empty page before it.
        await until(() => events.some(({ params }) => params.loaderId === loaderId && params.name === 'load'));
      },
      async click(selector) {
        const found = `document.querySelector(${JSON.stringify(selector)})`;
        const { x, y } = await evaluate(`(() => {
          const { left, top, width, height } = ${found}.getBoundingClientRect();
          return { x: left + width / 2, y: top + height / 2 };
        })()`);
        for (const type of ['mousePressed', 'mouseReleased'])
          await inTab('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
      },
      async type(text) {
        await inTab('Input.insertText', { text });
      },
      async close() {
        await call('Target.closeTarget', { targetId });
      },
    };
  }

  return {
    newTab,
    async visit(url) {
      const tab = await newTab();
      await tab.open(url);
      return tab.evaluate('window.result');
    },
    async close() {
      // A browser that closes itself waits for its child processes, which write to the profile.
      socket.send(JSON.stringify({ id: ++sent, method: 'Browser.close' }));
      await exited;
      socket.terminate();
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, browserFile, startBrowser, type Tab } from '../browser.ts';
import { type Kit, startKit, until } from '../kit.ts';

let kit: Kit;
let browser: Browser;
beforeAll(async () => {
  kit = await startKit();
  if (browserFile) browser = await startBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await kit.close();
});

const storageOf = (tab: Tab, storage: 'localStorage' | 'sessionStorage'): Promise<string> =>
  tab.evaluate(`JSON.stringify(Object.entries(${storage}))`);

async function openGraphiQL(): Promise<Tab> {
  const tab = await browser.newTab();
  await tab.open(`${kit.url}/graphql`);
  await until(() => tab.evaluate("document.querySelector('.graphiql-query-editor .view-line') !== null"));
  return tab;
}

const response = (tab: Tab): Promise<string> =>
  tab.evaluate("document.querySelector('.graphiql-response').innerText.replaceAll('\\u00a0', ' ')");

/** Opens a tab of GraphiQL by its number and runs its operation. */
async function run(tab: Tab, number: number, expected: string): Promise<void> {
  await tab.evaluate(`document.querySelector('#graphiql-session-tab-${number}').click()`);
  await until(() => tab.evaluate(`document.querySelectorAll('.graphiql-tab')[${number}].className.includes('active')`));
  await tab.click('.graphiql-execute-button');
  await until(async () => {
    const text = await response(tab);
    // GraphiQL parses the operations of a tab some time after the tab became active.
    if (text.includes('Cannot infer') && text.includes('operation')) await tab.click('.graphiql-execute-button');
    return text.includes(expected);
  });
}

/** Types a text into an element that takes the focus. */
async function enter(tab: Tab, selector: string, text: string): Promise<void> {
  await tab.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);
  await tab.type(text);
}

describe.skipIf(browserFile === undefined)('in a browser', () => {
  test('a key entered at the top of GraphiQL applies to all of its tabs and is discarded with the browser tab', async () => {
    const tab = await openGraphiQL();
    await run(tab, 4, 'UNAUTHENTICATED');
    await enter(tab, '#key', kit.keys.ADMIN);
    await run(tab, 1, '"role": "ADMIN"');
    await run(tab, 4, '"totalCount"');
    expect(await storageOf(tab, 'sessionStorage')).toContain(kit.keys.ADMIN);
    expect(await storageOf(tab, 'localStorage')).toBe('[]');

    await tab.open(`${kit.url}/graphql`);
    await until(() => tab.evaluate("document.querySelector('.graphiql-query-editor .view-line') !== null"));
    expect(await tab.evaluate("document.querySelector('#key').value")).toBe(kit.keys.ADMIN);

    const other = await openGraphiQL();
    expect(await other.evaluate("document.querySelector('#key').value")).toBe('');
    expect(await storageOf(other, 'sessionStorage')).not.toContain(kit.keys.ADMIN);
    await other.close();
    await tab.close();
  }, 120_000);

  test('a key entered as a header of one tab of GraphiQL applies to the others', async () => {
    const tab = await openGraphiQL();
    await tab.evaluate("document.querySelector('.graphiql-editor-tools [data-name=headers]').click()");
    const editor = '.graphiql-editor-tool .graphiql-editor:not(.hidden) :is(textarea, .native-edit-context)';
    await until(() => tab.evaluate(`document.querySelector('${editor}') !== null`));
    const shown = `document.querySelector('.graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines')?.innerText ?? ''`;
    // An editor that is still being set up discards input.
    await until(async () => {
      if (!(await tab.evaluate(shown)).includes('Authorization')) {
        await tab.evaluate(`document.querySelector('${editor}').focus()`);
        await tab.call('Input.dispatchKeyEvent', { type: 'rawKeyDown', commands: ['selectAll'] });
        await tab.type(`{"Authorization": "Bearer ${kit.keys.BASIC}"}`);
        await tab.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
      }
      return (await tab.evaluate("document.querySelector('#key').value")) === kit.keys.BASIC;
    });
    await run(tab, 1, '"role": "BASIC"');
    expect(await storageOf(tab, 'localStorage')).toBe('[]');
    await tab.close();
  }, 120_000);

  test('keys that earlier versions kept in the local storage are deleted', async () => {
    const tab = await browser.newTab();
    for (const path of ['/graphql', '/api/docs']) {
      await tab.open(`${kit.url}/health`);
      await tab.evaluate(
        `localStorage.setItem('graphiql:tabState', 'on_secret'); localStorage.setItem('authorized', 'on_secret')`,
      );
      await tab.open(`${kit.url}${path}`);
      const name = path === '/graphql' ? 'graphiql:tabState' : 'authorized';
      expect(await tab.evaluate(`localStorage.getItem('${name}')`)).toBeNull();
    }
    await tab.evaluate('localStorage.clear()');
    await tab.close();
  }, 120_000);

  test('Swagger UI keeps a key until the browser tab is closed', async () => {
    const tab = await browser.newTab();
    await tab.open(`${kit.url}/api/docs`);
    await until(() => tab.evaluate("document.querySelector('.btn.authorize') !== null"));
    await tab.evaluate("document.querySelector('.btn.authorize').click()");
    await until(() => tab.evaluate("document.querySelector('.auth-container input') !== null"));
    await enter(tab, '.auth-container input', kit.keys.BASIC);
    await tab.evaluate("document.querySelector('.auth-btn-wrapper .authorize').click()");
    await until(async () => (await storageOf(tab, 'sessionStorage')).includes(kit.keys.BASIC));
    expect(await storageOf(tab, 'localStorage')).toBe('[]');

    await tab.open(`${kit.url}/api/docs`);
    await until(() => tab.evaluate("document.querySelector('.btn.authorize.locked') !== null"));
    const other = await browser.newTab();
    await other.open(`${kit.url}/api/docs`);
    await until(() => other.evaluate("document.querySelector('.btn.authorize.unlocked') !== null"));
    await other.close();
    await tab.close();
  }, 120_000);

  test('Swagger UI is dark when the system is, at 390 and at 1280 pixels', async () => {
    const tab = await browser.newTab();
    const scheme = (value: string) =>
      tab.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
    /** Returns the brightness of the page and of its text, from 0 to 255. */
    const brightness = async (): Promise<number[]> =>
      (await tab.evaluate(`[getComputedStyle(document.documentElement).backgroundColor,
        getComputedStyle(document.querySelector('.info .title')).color]
        .map((color) => color.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3)`)) as number[];
    for (const width of [390, 1280]) {
      await tab.call('Emulation.setDeviceMetricsOverride', { width, height: 844, deviceScaleFactor: 1, mobile: false });
      await scheme('dark');
      await tab.open(`${kit.url}/api/docs`);
      await until(() => tab.evaluate("document.querySelector('.info .title') !== null"));
      const [page = 255, text = 0] = await brightness();
      expect(page).toBeLessThan(80);
      expect(text).toBeGreaterThan(160);
      await scheme('light');
      await until(() => tab.evaluate("!document.documentElement.classList.contains('dark-mode')"));
      expect((await brightness())[1]).toBeLessThan(100);
    }
    await tab.close();
  }, 120_000);

  test('GraphiQL fits a phone of 390 pixels, with the response below the editor', async () => {
    const tab = await browser.newTab();
    await tab.call('Emulation.setDeviceMetricsOverride', {
      width: 390,
      height: 844,
      deviceScaleFactor: 1,
      mobile: true,
    });
    await tab.open(`${kit.url}/graphql`);
    await until(() => tab.evaluate("document.querySelector('.graphiql-query-editor .view-line') !== null"));
    const box = (selector: string): Promise<{ left: number; right: number; top: number; bottom: number }> =>
      tab.evaluate(`document.querySelector('${selector}').getBoundingClientRect().toJSON()`);
    const [editors, answer] = [await box('.graphiql-editors'), await box('.graphiql-response')];
    for (const { left, right, top, bottom } of [editors, answer]) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(390);
      expect(right - left).toBeGreaterThan(350);
      expect(bottom - top).toBeGreaterThan(200);
      expect(bottom).toBeLessThanOrEqual(844);
    }
    expect(answer.top).toBeGreaterThanOrEqual(editors.bottom);
    expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(390);

    const docs = 'document.querySelector(".graphiql-sidebar button").click()';
    await tab.evaluate(docs);
    await until(async () => (await box('.graphiql-plugin')).right <= 390);
    expect((await box('.graphiql-plugin')).bottom - (await box('.graphiql-plugin')).top).toBeGreaterThan(500);
    await tab.evaluate(docs);
    await until(async () => (await box('.graphiql-query-editor .view-line')).right > 0);
    await tab.close();
  }, 120_000);

  test('every page of the documentation fits 390 and 1280 pixels in light and in dark', async () => {
    const tab = await browser.newTab();
    await tab.open(`${kit.url}/docs`);
    const paths: string[] = await tab.evaluate(
      "[...document.querySelectorAll('#navigation a')].map(({ pathname }) => pathname)",
    );
    expect(paths.length).toBeGreaterThan(15);
    for (const [width, scheme] of [
      [390, 'dark'],
      [1280, 'light'],
    ] as const) {
      await tab.call('Emulation.setDeviceMetricsOverride', { width, height: 844, deviceScaleFactor: 1, mobile: false });
      await tab.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      for (const path of paths) {
        await tab.open(`${kit.url}${path}`);
        const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
        expect([path, await tab.evaluate(overflow)]).toEqual([path, 0]);
        const [page, text] = (await tab.evaluate(`['backgroundColor', 'color'].map((name) =>
          getComputedStyle(document.documentElement)[name].match(/[\\d.]+/g).slice(0, 3)
            .reduce((sum, part) => sum + Number(part), 0) / 3)`)) as [number, number];
        expect(scheme === 'dark' ? text - page : page - text).toBeGreaterThan(150);
      }
    }
    await tab.close();
  }, 120_000);

  test('the documentation can be used with the keyboard: skip link, menu on a phone, and scrolling of wide parts', async () => {
    const tab = await browser.newTab();
    const press = async (key: string, code = key) => {
      for (const type of ['rawKeyDown', 'keyUp'])
        await tab.call('Input.dispatchKeyEvent', {
          type,
          key,
          code,
          windowsVirtualKeyCode: { Tab: 9, Enter: 13, Escape: 27 }[key] ?? 0,
          ...(key === 'Enter' && type === 'rawKeyDown' && { text: '\r', type: 'keyDown' }),
        });
    };
    const focused = (): Promise<string> => tab.evaluate('document.activeElement.textContent.trim()');
    const isNavigationVisible = () =>
      tab.evaluate("document.querySelector('#navigation').getBoundingClientRect().width > 0");
    await tab.call('Emulation.setDeviceMetricsOverride', {
      width: 390,
      height: 844,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await tab.open(`${kit.url}/docs/settings`);

    await press('Tab');
    expect(await focused()).toBe('Skip to the content');
    expect(await tab.evaluate("document.querySelector('.skip').getBoundingClientRect().top >= 0")).toBe(true);
    await press('Enter');
    await until(async () => (await tab.evaluate('document.activeElement.id')) === 'content');

    await tab.open(`${kit.url}/docs/settings`);
    expect(await isNavigationVisible()).toBe(false);
    await press('Tab');
    await press('Tab');
    expect(await focused()).toBe('Menu');
    await press('Enter');
    await until(isNavigationVisible);
    await press('Tab');
    expect(await focused()).toBe('Overview');
    await press('Escape');
    await until(async () => !(await isNavigationVisible()));
    expect(await focused()).toBe('Menu');

    const unreachable = `[...document.querySelectorAll('pre, .table')].filter(
      (part) => part.scrollWidth > part.clientWidth && part.tabIndex !== 0).length`;
    expect(
      await tab.evaluate(
        "[...document.querySelectorAll('.table')].filter((part) => part.scrollWidth > part.clientWidth).length",
      ),
    ).toBeGreaterThan(0);
    expect(await tab.evaluate(unreachable)).toBe(0);

    await tab.call('Emulation.setDeviceMetricsOverride', {
      width: 1280,
      height: 844,
      deviceScaleFactor: 1,
      mobile: false,
    });
    expect(await isNavigationVisible()).toBe(true);
    expect(await tab.evaluate("getComputedStyle(document.querySelector('header button')).display")).toBe('none');
    await tab.close();
  }, 120_000);
});

// Starts GraphiQL. Everything that it stores, including the key, stays in the session storage of the browser tab. One key
// applies to all of its tabs, unless a tab has its own Authorization header.
(() => {
  const storageKey = 'latchkey:key';
  const field = document.getElementById('key');
  field.value = sessionStorage.getItem(storageKey) ?? '';

  // Earlier versions kept keys here.
  for (const name of Object.keys(localStorage)) if (name.startsWith('graphiql:')) localStorage.removeItem(name);

  const keyOf = (authorization) => authorization.replace(/^\s*bearer(\s+|$)/i, '').trim();

  function setKey(key) {
    if (key === '') sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, key);
  }
  field.addEventListener('input', () => setKey(keyOf(field.value)));
  field.form.addEventListener('submit', (event) => event.preventDefault());

  /** Keys that the tabs have as headers. Each is applied to all tabs once, when it is entered. */
  const known = new Set();
  const keysIn = (headers) =>
    [...headers.matchAll(/"authorization\\*"\s*:\s*\\*"([^"\\]*)/gi)].map(([, value]) => keyOf(value)).filter(Boolean);
  for (const key of keysIn(sessionStorage.getItem('graphiql:tabState') ?? '')) known.add(key);

  function adopt(key) {
    if (known.has(key)) return;
    known.add(key);
    field.value = key;
    setKey(key);
  }

  const storage = {
    getItem: (name) => sessionStorage.getItem(name),
    setItem: (name, value) => {
      if (name === 'graphiql:headers') for (const key of keysIn(value)) adopt(key);
      sessionStorage.setItem(name, value);
    },
    removeItem: (name) => sessionStorage.removeItem(name),
    get length() {
      return sessionStorage.length;
    },
    clear: () => {
      for (const name of Object.keys(sessionStorage)) if (name.startsWith('graphiql:')) sessionStorage.removeItem(name);
    },
  };

  const send = window.fetch.bind(window);
  window.fetch = (resource, init) => {
    const headers = new Headers(init?.headers);
    const own = keyOf(headers.get('authorization') ?? '');
    const key = keyOf(field.value);
    if (own !== '') adopt(own);
    else if (key === '') headers.delete('authorization');
    else headers.set('authorization', `Bearer ${key}`);
    return send(resource, { ...init, headers });
  };

  const workers = JSON.parse(document.getElementById('workers').textContent);
  self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (_module, label) => workers[label] };
  const options = JSON.parse(document.getElementById('options').textContent);
  YogaGraphiQL.renderYogaGraphiQL(document.getElementById('root'), { ...options, storage });
})();

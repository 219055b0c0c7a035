// Starts Swagger UI. Credentials are kept in the session storage of the browser tab, never in the local storage.
(() => {
  const storageKey = 'latchkey:authorized';
  // Earlier versions kept credentials here.
  localStorage.removeItem('authorized');

  const keepForSession = () => ({
    statePlugins: {
      auth: {
        wrapActions: {
          persistAuthorizationIfNeeded:
            (_original, { authSelectors }) =>
            () =>
              sessionStorage.setItem(storageKey, JSON.stringify(authSelectors.authorized())),
        },
      },
    },
  });

  // Swagger UI has a dark theme, which follows the system, also while the page is open.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', follow);
  follow();

  const ui = SwaggerUIBundle({
    url: '/api/openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: 'list',
    filter: true,
    plugins: [keepForSession],
    onComplete: () => {
      const stored = sessionStorage.getItem(storageKey);
      if (stored !== null) ui.authActions.restoreAuthorization({ authorized: JSON.parse(stored) });
    },
  });
})();
